//! The words of the kernel's records that only say where an area lies.

use super::{AreaLayout, VmLayout, VmallocArea};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError};

/// Offsets of such words, and the addresses that areas can have.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// `vmap_area.va_start`, `va_end`.
    start: usize,
    end: usize,
    /// `vm_struct.addr`.
    addr: u64,
    range: std::ops::Range<u64>,
    page: u64,
}

impl Records {
    /// # Errors
    /// If the kernel's types don't describe areas.
    pub(crate) fn of(kernel: &Kernel) -> Result<Self, KernelError> {
        let area: AreaLayout = kernel.layout()?;
        let vm: VmLayout = kernel.layout()?;
        let range = kernel.vmalloc_range().unwrap_or_default();
        Ok(Self {
            start: area.start.offset as usize,
            end: area.end.offset as usize,
            addr: u64::from(vm.addr.offset),
            range: range.start.0..range.end.0,
            page: kernel.dump().page_size() as u64,
        })
    }

    /// Where those of one area lie.
    pub(crate) fn words(&self, area: &VmallocArea) -> impl Iterator<Item = VirtAddr> + use<> {
        let vm = area.vm_struct.map(|vm| vm.plus(self.addr));
        let of_area = [self.start, self.end].map(|offset| area.vmap_area.plus(offset as u64));
        of_area.into_iter().chain(vm)
    }

    /// Whether bytes look like a `struct vmap_area`, free or in use.
    pub(crate) fn looks_like_one(&self, bytes: &[u8]) -> bool {
        let (Some(start), Some(end)) = (u64_at(bytes, self.start), u64_at(bytes, self.end)) else {
            return false;
        };
        let whole = start % self.page == 0 && end % self.page == 0;
        // Free ones reach from address 1 to the last page.
        whole && start < end && (self.range.contains(&start) || self.range.contains(&end))
    }

    /// Whether the word at this offset of a `struct vmap_area` says where it lies.
    pub(crate) fn is_place(&self, offset: usize) -> bool {
        offset == self.start || offset == self.end
    }
}
