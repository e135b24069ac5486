//! The page owner's own list of stacks with sums of pages, 6.9 and later (commit 217b2119b9e2).

use super::ListedStack;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::stack_depot::{StackDepot, StackRecord};
use crate::kernel::symbolize::Symbolizer;
use crate::kernel::{Kernel, KernelError, walk};
use crate::partial::{End, Partial};

/// More stacks than the depot has room for.
const MAX_STACKS: u64 = 1 << 22;

layout! {
    /// mm/page_owner.c
    struct StackListLayout = "stack" in "mm/page_owner.c" {
        need record = "stack_record",
        need next = "next",
    }
}

/// Pages that a record counts: one less than its references. `None` where they count otherwise.
pub(super) fn pages(record: &StackRecord) -> Option<u64> {
    let pages = record.count?.cast_signed().checked_sub(1)?;
    u64::try_from(pages).ok()
}

/// The list as show_stacks prints it, newest stack first; `None` if this kernel has none.
pub(super) fn read(
    kernel: &Kernel,
    depot: &StackDepot<'_>,
    names: &Symbolizer<'_>,
) -> Result<Option<Partial<Vec<ListedStack>>>, KernelError> {
    let Some(head) = kernel.symbol("stack_list") else {
        return Ok(None);
    };
    let layout: StackListLayout = kernel.layout()?;
    let threshold = kernel.u64_of("page_owner_pages_threshold").value();
    let least = threshold.unwrap_or(0).max(1);
    let Ok(first) = kernel.space.read_ptr(head) else {
        return Ok(Some(Partial::new(Vec::new(), End::Fault, 0)));
    };
    let walk = walk::chain(
        &kernel.space,
        first,
        u64::from(layout.next.offset),
        MAX_STACKS,
    );
    let (mut end, mut found) = (walk.end, Vec::new());
    for node in walk.value {
        let at = node.plus(u64::from(layout.record.offset));
        let record: VirtAddr = match kernel.space.read_ptr(at) {
            Ok(record) if record.is_null() => continue,
            Ok(record) => record,
            Err(_) => {
                end = End::Fault;
                continue;
            }
        };
        let Ok(record) = depot.record_at(record) else {
            end = End::BrokenLink;
            continue;
        };
        if let Some(pages) = pages(&record).filter(|pages| *pages >= least) {
            let frames = record.frames.iter();
            let stack = frames.map(|frame| names.print(*frame)).collect();
            found.push(ListedStack { pages, stack });
        }
    }
    Ok(Some(Partial::new(found, end, walk.seen)))
}
