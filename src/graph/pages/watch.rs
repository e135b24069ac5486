//! Who points to the kernel's own pages: the best of all references to each block.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::blocks::{Addresses, Blocks, Form, Link};
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::memmap::Memmap;

/// References to the blocks of the kernel's own pages.
#[derive(Debug)]
pub(crate) struct PageWatch {
    pub(super) blocks: Blocks,
    pub(super) addresses: Addresses,
    /// Of each block the best reference: how good it is, and where it lies.
    best: Vec<AtomicU64>,
    /// How many there are.
    counts: Vec<AtomicU32>,
}

/// Where a reference lies, the best first: what owns things is asked before what only uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In an object, a variable, or memory of vmalloc.
    Owner,
    /// In another of the kernel's own pages, or the structure of one.
    Page,
    /// On a task's stack.
    Stack,
}

/// Bits that are set in every address of the kernel make room for how good a reference is.
const RANK: u32 = 58;
const NONE: u64 = u64::MAX;

impl PageWatch {
    /// With what the pages' own structures point to.
    pub(super) fn new(
        blocks: Blocks,
        links: &[Link],
        memmap: &Memmap,
        addresses: Addresses,
    ) -> Self {
        let watch = Self {
            best: blocks.all.iter().map(|_| AtomicU64::new(NONE)).collect(),
            counts: blocks.all.iter().map(|_| AtomicU32::new(0)).collect(),
            blocks,
            addresses,
        };
        for (from, word) in links {
            if let Some(at) = memmap.page_address(*from) {
                watch.note(*word, || (Place::Page, at, Some(*from)));
            }
        }
        watch
    }

    /// Takes note of a word, if it means a page; it lies at `at` in the direct map, or on a stack.
    pub(in crate::graph) fn word(&self, word: u64, at: Option<VirtAddr>) {
        self.note(word, || {
            let Some(at) = at else {
                return (Place::Stack, VirtAddr(u64::MAX), None);
            };
            let page = self.addresses.page(at.0).map(|(pfn, _)| pfn);
            match page.filter(|pfn| self.blocks.at(*pfn).is_some()) {
                Some(pfn) => (Place::Page, at, Some(pfn)),
                None => (Place::Owner, at, None),
            }
        });
    }

    fn note(&self, word: u64, place: impl FnOnce() -> (Place, VirtAddr, Option<Pfn>)) {
        let Some((pfn, form)) = self.addresses.page(word) else {
            return;
        };
        let Some(number) = self.blocks.at(pfn) else {
            return;
        };
        let (place, at, from) = place();
        // What a block says of itself keeps nothing.
        if from.is_some_and(|from| self.blocks.at(from) == Some(number)) {
            return;
        }
        let number = number as usize;
        let (Some(block), Some(best), Some(count)) = (
            self.blocks.all.get(number),
            self.best.get(number),
            self.counts.get(number),
        ) else {
            return;
        };
        // A word that means the first page of a block is about the block.
        let form = if pfn == block.pfn { form } else { Form::Within };
        let rank = place as u64 * 3 + form as u64;
        best.fetch_min(rank << RANK | at.0 & ((1 << RANK) - 1), Ordering::Relaxed);
        // Enough is enough: threads would take the line from each other.
        if count.load(Ordering::Relaxed) < u32::MAX / 2 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where the best reference to a block lies.
    pub(super) fn best(&self, number: u32) -> Option<VirtAddr> {
        let key = self.best.get(number as usize)?.load(Ordering::Relaxed);
        (key != NONE).then_some(VirtAddr(key | !((1 << RANK) - 1)))
    }

    /// Whether an owner knows where a block begins.
    pub(super) fn is_exact(&self, number: u32) -> bool {
        let best = self.best.get(number as usize);
        let rank = best.map_or(u64::MAX, |best| best.load(Ordering::Relaxed) >> RANK);
        rank == Place::Owner as u64 * 3 + Form::Start as u64
    }

    /// How many words point to a block.
    pub(super) fn count(&self, number: u32) -> u32 {
        let count = self.counts.get(number as usize);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
