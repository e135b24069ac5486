//! Where functions can be traced (kernel/trace/ftrace.c).

use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// kernel/trace/ftrace.c
    struct RecordsLayout = "ftrace_page" in "kernel/trace/ftrace.c" {
        need next = "next",
        need records = "records",
    }
}

/// Blocks of records: one for each module, and some for the kernel.
const MAX_BLOCKS: u64 = 1 << 20;

/// The records of all functions.
pub(super) fn claim(kernel: &Kernel, claims: &mut Claims) -> Result<(), KernelError> {
    let Some(first) = kernel.u64_of("ftrace_pages_start").value() else {
        return Ok(());
    };
    let layout: RecordsLayout = kernel.layout()?;
    let owner = claims.owner(Owner::of_kernel("function_tracing", "records of functions"));
    let link = u64::from(layout.next.offset);
    for at in walk::chain(&kernel.space, VirtAddr(first), link, MAX_BLOCKS).value {
        let records = at.plus(u64::from(layout.records.offset));
        if let Ok(records) = kernel.space.read_ptr(records) {
            claims.block(owner, records);
        }
    }
    Ok(())
}
