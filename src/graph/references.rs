//! One scan of words for all memory that is searched: what each points to is handed to a sink.
//!
//! A reference is told whole (from which node and where in it, to which node), so that one sink may
//! mark what is reachable and another keep a graph.

use super::holders::Source;
use super::scan::{Counts, Edge, Scan};
use super::words::each_address_and;
use crate::addr::PhysAddr;

/// Memory whose words are looked at.
#[derive(Clone, Copy)]
pub(super) struct Memory<'b> {
    pub(super) bytes: &'b [u8],
    /// Where it lies; `None` for stacks, which are in pieces.
    pub(super) start: Option<PhysAddr>,
    /// The object, area or block that it is or belongs to, by number: what that says of itself is
    /// no reference. `None` for what is always reachable.
    pub(super) node: Option<u32>,
    /// The cache of an object.
    pub(super) cache: Option<u32>,
    /// Where a word lies that is the allocator's.
    pub(super) hole: Option<usize>,
}

/// A word that points to an object, a block or an area.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    /// Bytes from the start of the memory.
    pub(super) offset: usize,
    /// The word: where in the target it points.
    pub(super) word: u64,
    /// What it points to, by number.
    pub(super) target: u32,
    /// The cache of what it points to; `None` for an area.
    pub(super) cache: Option<u32>,
}

/// Takes references as they are met.
pub(super) trait ReferenceSink {
    fn take(&mut self, reference: Reference);
}

impl Scan<'_> {
    /// Hands all references of some memory to `sink`; how many words point to objects, to itself
    /// included.
    pub(super) fn references(&self, memory: &Memory<'_>, sink: &mut impl ReferenceSink) -> u64 {
        let mut pointers = 0;
        // Asked for the few objects that point to areas.
        let mut record = None;
        each_address_and(memory.bytes, self.prefix, |offset, word| {
            if memory.hole == Some(offset) {
                return;
            }
            let (target, cache) = if self.targets.may_point(word) {
                let Some((object, cache)) = self.targets.object(word) else {
                    self.to_page(memory, offset, word);
                    return;
                };
                pointers += 1;
                if self.targets.blocks().contains(&object) {
                    self.to_page(memory, offset, word);
                }
                (object, Some(cache))
            } else if self.areas.may_point(word) {
                self.to_percpu(memory, offset, word);
                let is_record = |cache| self.areas.is_record(cache, memory.bytes);
                let record = *record.get_or_insert_with(|| memory.cache.is_some_and(is_record));
                let at = memory.start.map(|start| start.plus(offset as u64));
                if record && self.areas.is_place_in_record(offset) {
                    return;
                }
                match self.areas.pointed_to(word, at, memory.node) {
                    Some(area) => (area, None),
                    None => {
                        self.to_page(memory, offset, word);
                        return;
                    }
                }
            } else {
                self.to_percpu(memory, offset, word);
                self.to_page(memory, offset, word);
                return;
            };
            if memory.node != Some(target) {
                sink.take(Reference {
                    offset,
                    word,
                    target,
                    cache,
                });
            }
        });
        pointers
    }

    /// Takes note of a word that means an allocation of per-CPU memory, where they are wanted.
    fn to_percpu(&self, memory: &Memory<'_>, offset: usize, word: u64) {
        if let Some(percpu) = self.percpu(word) {
            let at = memory.start.map(|start| start.plus(offset as u64));
            percpu.word(word, at, self.kernel.dump().page_shift());
        }
    }

    /// Takes note of a word that means one of the kernel's own pages, where they are wanted.
    fn to_page(&self, memory: &Memory<'_>, offset: usize, word: u64) {
        if let Some(pages) = &self.found.pages {
            let space = &self.kernel.space;
            let at = memory.start.map(|start| start.plus(offset as u64));
            pages.word(word, at.map(|at| space.direct_map_address(at)));
        }
    }

    /// Looks at memory for what can be reached, and who holds it: `source` says of an offset what
    /// lies there, `tells` whether all references from there are counted. What reachable memory
    /// points to is marked; of any other that is kept among `edges`.
    pub(super) fn follow(
        &self,
        memory: &Memory<'_>,
        (counts, edges): (&mut Counts, &mut Vec<Edge>),
        tells: bool,
        source: impl Fn(usize) -> Source,
    ) {
        let node = memory.node.filter(|node| !self.found.marked.get(*node));
        let mut marking = Marking {
            scan: self,
            node,
            tells,
            source,
            counts,
            edges,
        };
        let pointers = self.references(memory, &mut marking);
        counts.totals.pointers += pointers;
        counts.totals.words += memory.bytes.len() as u64 / 8;
    }
}

/// Marks what is reachable, keeps the references of what may not be, and counts holders.
struct Marking<'s, 'a, S> {
    scan: &'s Scan<'a>,
    /// Where the references come from, if that is not known to be reachable.
    node: Option<u32>,
    tells: bool,
    source: S,
    counts: &'s mut Counts,
    edges: &'s mut Vec<Edge>,
}

impl<S: Fn(usize) -> Source> ReferenceSink for Marking<'_, '_, S> {
    fn take(&mut self, reference: Reference) {
        let found = &self.scan.found;
        let target = reference.target;
        match self.node {
            Some(node) => {
                if self.edges.last() != Some(&(node, target)) && !found.marked.get(target) {
                    self.edges.push((node, target));
                }
            }
            None => {
                found.marked.set(target);
            }
        }
        let Some(cache) = reference.cache else {
            return;
        };
        if self.tells || found.holders.wants(target, cache) {
            let source = (self.source)(reference.offset);
            self.counts.held.push((target, cache, source));
        }
        if self.scan.cache_of_caches == Some(cache)
            && let Source::Root(at) = (self.source)(reference.offset)
        {
            self.counts.cache_pointers.push((reference.word, at));
        }
    }
}
