//! The page of VMCOREINFO: a kernel that panics turns its only pointer to it to a copy
//! (`crash_update_vmcoreinfo_safecopy`, kernel/crash_core.c), so that it looks lost.

use super::super::search::Search;
use super::watch::PageWatch;

/// What its text begins with.
const START: &[u8] = b"OSRELEASE=";

/// Takes the page from the lost ones, if it is among them.
pub(super) fn take(search: &Search<'_>, watch: &PageWatch, lost: &mut Vec<u32>) -> Option<u32> {
    let kernel = search.kernel;
    let shift = kernel.dump().page_shift();
    let is_text = |number: &u32| {
        let block = watch.blocks.all.get(*number as usize);
        block.filter(|block| block.pages == 1).is_some_and(|block| {
            let at = kernel.space.direct_map_address(block.pfn.start(shift));
            let start = kernel.space.quiet().read_bytes(at, START.len());
            start.is_ok_and(|start| start == START)
        })
    };
    let place = lost.iter().position(is_text)?;
    Some(lost.remove(place))
}
