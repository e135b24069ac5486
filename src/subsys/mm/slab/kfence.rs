//! The pages of KFENCE, which look like slabs of one object but belong to no cache's
//! accounting (mm/kfence/core.c).
//!
//! The pool alternates guard and object pages, two guard pages first. Its length is a
//! constant of the configuration; it is found by walking `kfence_metadata[]`, whose
//! entry i always has an address within object page i.

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// mm/kfence/kfence.h
    struct MetadataLayout = "kfence_metadata" in "mm/kfence/core.c" {
        need addr = "addr",
    }
}

/// CONFIG_KFENCE_NUM_OBJECTS is 65535 at most.
const MAX_OBJECTS: u64 = 65_535;

/// The pfns of the KFENCE pool; empty where there is none.
pub(crate) fn pool(kernel: &Kernel) -> Result<std::ops::Range<Pfn>, KernelError> {
    let none = Pfn(0)..Pfn(0);
    let pool = kernel.u64_of("__kfence_pool").there("__kfence_pool")?;
    let pool = pool.unwrap_or(0);
    let (true, Some(symbol)) = (pool != 0, kernel.symbol("kfence_metadata")) else {
        return Ok(none);
    };
    let layout: MetadataLayout = kernel.layout()?;
    // An array up to 6.5, a pointer since (commit cabdf74e6b31): the first entry tells.
    let tables = [Some(symbol), kernel.space.read_ptr(symbol).ok()];
    let length = |table: VirtAddr| {
        (0..MAX_OBJECTS)
            .take_while(|index| {
                let at =
                    table.plus(index * layout.struct_size as u64 + u64::from(layout.addr.offset));
                let page = pool + (index + 1) * 2 * kernel.dump().page_size() as u64;
                let inside = page..page + kernel.dump().page_size() as u64;
                kernel
                    .space
                    .read_u64(at)
                    .is_ok_and(|addr| inside.contains(&addr))
            })
            .count() as u64
    };
    let objects = tables.into_iter().flatten().map(length).max().unwrap_or(0);
    let first = kernel.space.translate(VirtAddr(pool)).ok();
    let (true, Some(mapping)) = (objects > 0, first) else {
        kernel.diag.warn(
            "kfence-pool",
            "the KFENCE pool can't be measured: its pages may be counted as slabs (compare with the kernel's own counters)",
        );
        return Ok(none);
    };
    let start = Pfn::containing(mapping.phys, kernel.dump().page_shift());
    Ok(start..Pfn(start.0 + (objects + 1) * 2))
}
