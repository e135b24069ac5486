//! What of the machine goes into a trace: its clock, its CPUs, its nodes.

use std::ops::Range;

use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, cpus, zones};
use crate::subsys::clock::Clock;

layout! {
    /// include/linux/mmzone.h
    struct NodeSpanLayout = "pglist_data" in "mm/page_alloc.c" {
        need start = "node_start_pfn",
        need pages = "node_spanned_pages",
        need id = "node_id",
    }
}

/// The machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) clock: Clock,
    pub(super) several_cpus: bool,
    /// Pages of each node, if there are several.
    nodes: Vec<(u32, Range<u64>)>,
}

impl Machine {
    /// # Errors
    /// If the types lack what nodes are made of, or no mask of CPUs can be read.
    pub(super) fn read(kernel: &Kernel, clock: Clock) -> Result<Self, KernelError> {
        let mut nodes = Vec::new();
        if cpus::node_count(kernel) > 1 {
            let layout: NodeSpanLayout = kernel.layout()?;
            for at in zones::nodes(kernel).into_iter().flatten() {
                let Ok(node) = kernel.space.read_bytes(at, layout.len) else {
                    continue;
                };
                let start = layout.start.get(&node);
                let span = start..start.saturating_add(layout.pages.get(&node));
                if !span.is_empty() {
                    nodes.push((layout.id.get(&node) as u32, span));
                }
            }
        }
        if nodes.len() < 2 {
            nodes.clear();
        }
        Ok(Self {
            several_cpus: cpus::up(kernel)?.len() > 1,
            clock,
            nodes,
        })
    }

    /// The node that memory lies in; `None` if there is but one. Of nodes that lie within each
    /// other the smaller one.
    pub(super) fn node_of(&self, kernel: &Kernel, at: VirtAddr) -> Option<u32> {
        if self.nodes.is_empty() {
            return None;
        }
        let phys = kernel.space.translate(at).ok()?.phys;
        let pfn = Pfn::containing(phys, kernel.dump().page_shift()).0;
        let around = self.nodes.iter().filter(|(_, span)| span.contains(&pfn));
        let smallest = around.min_by_key(|(_, span)| span.end - span.start)?;
        Some(smallest.0)
    }
}
