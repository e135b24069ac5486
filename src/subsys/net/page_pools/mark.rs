//! How the structure of a page says that it is of a pool.

use super::layouts::{MarkedPageLayout, NetmemLayout};
use crate::addr::VirtAddr;
use crate::kernel::layout::Field;
use crate::kernel::page::{PageLayout, PageMark, allocator_home};
use crate::kernel::{Kernel, KernelError};

/// PP_SIGNATURE of include/linux/poison.h without what an architecture adds to it, and the bits
/// that it shares with nothing: two say what the memory is, higher ones number a mapping for DMA
/// (include/linux/mm.h).
const SIGNATURE: u64 = 0x40;
const SIGNED: u64 = 0xfc;

/// Tells pages of pools by their structures.
#[derive(Debug)]
pub(crate) struct PoolMark {
    page: PageLayout,
    magic: Option<Field>,
    typed: Option<PageMark>,
    pool: Field,
}

impl PoolMark {
    /// `None` in kernels whose pages do not say it: up to 5.13, and without CONFIG_PAGE_POOL.
    ///
    /// # Errors
    /// If the kernel's types can't be read.
    pub(crate) fn find(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        let of_page: MarkedPageLayout = kernel.layout()?;
        let home = allocator_home(&kernel.types);
        let typed = kernel.types.enumerator("pagetype", home, "PGTY_netpp")?;
        let typed = typed.map(|value| PageMark::TypeByte(value as u8));
        let netmem = || kernel.layout::<NetmemLayout>().ok();
        let pool = of_page.pool.or_else(|| Some(netmem()?.pool));
        let Some(pool) = pool.filter(|_| typed.is_some() || of_page.magic.is_some()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            page: kernel.layout()?,
            magic: of_page.magic,
            typed,
            pool,
        }))
    }

    /// The pool that a page says it is of, by the bytes of its structure. That there is such a pool
    /// is for the caller to see.
    pub(crate) fn pool_of(&self, record: &[u8]) -> Option<VirtAddr> {
        let typed = self.typed.as_ref();
        let marked = typed.is_some_and(|mark| mark.holds(&self.page, record))
            || self.magic.is_some_and(|field| is_signed(field.get(record)));
        let pool = self.pool.get(record);
        // Pools are the kernel's own memory.
        (marked && pool >> 63 == 1 && pool.is_multiple_of(8)).then_some(VirtAddr(pool))
    }
}

/// What else lies in that word are pointers of lists, and of tail pages to their first.
fn is_signed(magic: u64) -> bool {
    magic & SIGNED == SIGNATURE && magic >> 47 != u64::MAX >> 47
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_no_pointer() {
        // Of 6.1, the same with bits below, one with the number of a mapping, one without a delta.
        for magic in [
            0xdead_0000_0000_0040,
            0xdead_0000_0000_0042,
            0xdead_0000_0123_4540,
            0x40,
        ] {
            assert!(is_signed(magic), "{magic:#x}");
        }
        // LIST_POISON1 and 2, a list's pointer, a tail page's.
        for word in [
            0xdead_0000_0000_0100,
            0xdead_0000_0000_0122,
            0xffff_ea00_0001_0040,
            0xffff_ea00_0001_0041,
            0,
        ] {
            assert!(!is_signed(word), "{word:#x}");
        }
    }
}
