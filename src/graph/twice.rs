//! A kernel that runs is searched twice: what was unreachable in one search may have been on its
//! way from one place to another.
//!
//! What nobody points to nobody can change: an object that is lost has in the second search the
//! content that it had in the first.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

use super::scan::Found;
use super::search::{Done, Search};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;

/// Bytes of a block or an area that are compared.
const COMPARED: u64 = 4 << 10;

/// What was unreachable once.
#[derive(Debug, Default)]
pub struct Suspects {
    /// By address, a hash of what is there. The addresses are inverted: this memory is part of
    /// what is searched next, should the kernel take its pages for its own by then.
    content: FxHashMap<u64, u64>,
}

impl Suspects {
    pub(super) fn of(search: &Search<'_>, done: &Done) -> Self {
        let lost = unreachable(search, &done.found);
        let content = lost.filter_map(|(_, start, len)| {
            let content = content(search.kernel, start, len)?;
            Some((!start.0, content))
        });
        Self {
            content: content.collect(),
        }
    }

    /// Takes for reachable what was not unreachable before, or has changed since, and all that it
    /// leads to.
    pub(super) fn acquit(&self, search: &Search<'_>, done: &Done) {
        let moved = unreachable(search, &done.found).filter(|(_, start, len)| {
            let before = self.content.get(&!start.0).copied();
            before.is_none() || before != content(search.kernel, *start, *len)
        });
        let moved: Vec<u32> = moved.map(|(number, ..)| number).collect();
        for number in moved {
            done.found.marked.set(number);
        }
        done.edges.propagate(&done.found.marked);
    }
}

/// Objects, blocks and areas that nothing points to: number, address and length.
fn unreachable<'a>(
    search: &'a Search<'_>,
    found: &'a Found,
) -> impl Iterator<Item = (u32, VirtAddr, u64)> + 'a {
    let slabs = search.targets.slabs.iter();
    let objects = slabs.flat_map(|slab| found.allocated.without(&found.marked, slab.numbers()));
    let objects = objects.filter_map(|number| {
        let (start, len) = search.targets.address(number)?;
        Some((number, start, u64::from(len)))
    });
    let areas = search.areas.holders();
    let areas = areas.filter(|(number, _)| !found.marked.get(*number));
    objects.chain(areas.map(|(number, area)| (number, area.start, area.bytes())))
}

fn content(kernel: &Kernel, start: VirtAddr, len: u64) -> Option<u64> {
    let bytes = kernel
        .space
        .quiet()
        .read_bytes(start, len.min(COMPARED) as usize)
        .ok()?;
    let mut hasher = FxHasher::default();
    hasher.write(&bytes);
    Some(hasher.finish())
}
