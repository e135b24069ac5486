//! What others are told between the search and what is said of it.

use crate::addr::VirtAddr;
use crate::kernel::modules::Modules;
use crate::subsys::mm::slab::{SlabFacts, SlabHeap};

/// What is known once memory was searched, and before it is said what was found.
#[expect(missing_debug_implementations, reason = "a heap is nothing to show")]
#[derive(Clone, Copy)]
pub struct Searched<'a> {
    /// The modules.
    pub modules: &'a Modules,
    /// All tasks that were reached.
    pub tasks: &'a [VirtAddr],
    /// Whether those are all.
    pub all_tasks: bool,
    /// Of each cache.
    pub slabs: &'a SlabFacts,
    /// Where its objects are, for who would read the memory map again to know.
    pub heap: &'a SlabHeap<'a>,
}
