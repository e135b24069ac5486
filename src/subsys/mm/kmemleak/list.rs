//! Where kmemleak keeps its entries.

use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::{End, Partial};

layout! {
    /// mm/kmemleak.c
    pub(super) struct KmemleakObjectLayout = "kmemleak_object" in "mm/kmemleak.c" {
        need flags = "flags",
        need list = "object_list",
        need pointer = "pointer",
        need size = "size",
        need min_count = "min_count",
        need count = "count",
        maybe checksum = "checksum",
        need jiffies = "jiffies",
        need pid = "pid",
        need comm = "comm",
        /// In the stack depot since 6.3 (commit 56a61617dd22), and in 6.1's later versions.
        maybe handle = "trace_handle",
        /// In the entry itself before.
        maybe trace = "trace",
        maybe trace_len = "trace_len",
    }
}

impl KmemleakObjectLayout {
    /// The bytes of the name of who allocated it.
    pub(super) fn comm<'r>(&self, record: &'r [u8]) -> Option<&'r [u8]> {
        slice(record, self.comm.offset as usize, self.comm.size as usize)
    }
}

/// No flag of an entry is above.
const FLAGS: u64 = 0xff;

/// The entries, in the kernel's order.
pub(super) fn entries(
    kernel: &Kernel,
    layout: &KmemleakObjectLayout,
) -> Result<Partial<Vec<VirtAddr>>, KernelError> {
    let link = u64::from(layout.list.offset);
    // Static variables may share a name: it is the one that an entry stands on.
    let heads = kernel.symbols_called(&["object_list"]);
    let head = heads
        .iter()
        .map(|(_, head)| *head)
        .find(|head| is_ours(kernel, layout, *head))
        .or_else(|| kernel.symbol("object_list"))
        .ok_or(KernelError::NoSymbol("object_list"))?;
    let page = kernel.dump().page_size() as u64;
    // An entry for every 8 bytes of memory is more than there can be.
    let bound = kernel.dump().max_pfn().saturating_mul(page / 8);
    let found = walk::list(&kernel.space, head, bound);
    if !found.end.is_complete() {
        kernel.diag.warn(
            "kmemleak-list-damaged",
            format!("kmemleak's list {} after {} entries: those behind are missing; it was being changed at the crash, or the kernel's own memory is damaged or missing there", found.end.describe(), found.seen),
        );
    }
    let (end, seen): (End, u64) = (found.end, found.seen);
    let all = found.value.into_iter().map(|at| at.minus(link)).collect();
    Ok(Partial::new(all, end, seen))
}

/// Whether the first thing on a list looks like an entry.
fn is_ours(kernel: &Kernel, layout: &KmemleakObjectLayout, head: VirtAddr) -> bool {
    let Ok(first) = kernel.space.read_ptr(head) else {
        return false;
    };
    let at = first.minus(u64::from(layout.list.offset));
    let Ok(record) = kernel.space.read_bytes(at, layout.struct_size) else {
        return false;
    };
    let comm_ends = layout.comm(&record).is_some_and(|comm| comm.contains(&0));
    first != head && layout.flags.get(&record) <= FLAGS && layout.size.get(&record) > 0 && comm_ends
}
