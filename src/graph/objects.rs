//! The pass over slabs: every object in use, in the order of the file.

use std::sync::PoisonError;

use super::holders::Source;
use super::omit::Shape;
use super::references::Memory;
use super::scan::{Counts, Edge, Scan};
use crate::addr::{Pfn, VirtAddr};
use crate::subsys::mm::slab::visit::{SlabView, SlabVisitor};

/// What is gathered over a batch of slabs.
#[derive(Default)]
pub(crate) struct SlabBatch {
    counts: Counts,
    edges: Vec<Edge>,
    bytes: Vec<u8>,
    missing: Vec<bool>,
    /// Where the slab starts.
    base: u64,
    late: bool,
}

impl SlabVisitor for Scan<'_> {
    type Batch = SlabBatch;

    fn begin(&self) -> SlabBatch {
        SlabBatch {
            late: self.out_of_time(),
            ..SlabBatch::default()
        }
    }

    fn slab(&self, batch: &mut SlabBatch, view: &SlabView<'_>) {
        let number = view.index as u32;
        let (Some(span), Some(shape), false) = (
            self.targets.slabs.get(view.index),
            self.seen.shapes.get(view.slab.cache as usize),
            batch.late,
        ) else {
            return;
        };
        self.read_slab(batch, view);
        if !view.trusted {
            batch.counts.totals.doubtful += 1;
        }
        let page = self.kernel.dump().page_size();
        let base = view.geometry.base().0;
        batch.base = base;
        let short = self.seen.short.in_slab(number);
        let kmemleak = self.seen.kmemleak.as_ref();
        let kmemleak = kmemleak.filter(|objects| objects.are_of(view.slab.cache));
        for index in 0..span.objects {
            let object = span.first + index;
            if view.is_free(index) {
                self.found.free.set(object);
                continue;
            }
            if view.is_pending(index) {
                continue;
            }
            let start = (span.start - base) as usize + index as usize * span.stride as usize;
            // Not the whole stride: behind a red zone the last object's reaches beyond the slab.
            let pages = start / page..=(start + shape.len.max(1) - 1) / page;
            let missing = batch.missing.get(pages);
            let lost = missing.is_none_or(|lost| lost.contains(&true));
            if missing.is_none_or(|lost| !lost.contains(&false)) {
                continue;
            }
            // Its chains change while they are followed: what it holds counts as held.
            if !view.trusted && self.kernel.dump().is_live() {
                self.found.marked.set(object);
            }
            if view.trusted && !lost {
                self.found.allocated.set(object);
                let bytes = batch.bytes.get(start..start + shape.len);
                let at = VirtAddr(base + start as u64);
                self.found
                    .removed
                    .look(span.cache, at, bytes.unwrap_or_default());
            }
            if let Some(kmemleak) = kmemleak
                && let Some(bytes) = batch.bytes.get_mut(start..start + shape.len)
            {
                kmemleak.clear(bytes);
            }
            let limit = short.iter().find(|(at, _)| *at == index);
            let len = limit.map_or(shape.len, |(_, len)| *len);
            self.object(batch, object, span.cache, start, Shape { len, ..*shape });
        }
        self.hand_over(&mut batch.counts.held);
    }

    fn end(&self, batch: SlabBatch) {
        self.finish(batch.counts);
        if !batch.edges.is_empty() && self.take_room(batch.edges.len()) {
            let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
            edges.push(batch.edges);
        }
    }
}

impl Scan<'_> {
    fn read_slab(&self, batch: &mut SlabBatch, view: &SlabView<'_>) {
        let dump = self.kernel.dump();
        let pages = 1usize << view.slab.order;
        batch.bytes.resize(pages * dump.page_size(), 0);
        batch.missing.clear();
        batch.counts.totals.slab_pages += pages as u64;
        let slots = batch.bytes.chunks_exact_mut(dump.page_size());
        for (at, out) in (0u64..).zip(slots) {
            let pfn = Pfn(view.slab.pfn.0 + at);
            let lost = dump.read_page(pfn, out).is_err();
            if lost {
                out.fill(0);
                batch.counts.totals.slab_missing += 1;
            }
            batch.missing.push(lost);
        }
    }

    /// One object in use, at `start` in the batch's bytes.
    fn object(&self, batch: &mut SlabBatch, object: u32, cache: u32, start: usize, shape: Shape) {
        let SlabBatch {
            bytes,
            edges,
            counts,
            base,
            ..
        } = batch;
        let Some(bytes) = bytes.get(start..start + shape.len) else {
            return;
        };
        if let Some(watch) = &self.found.watch {
            let at = VirtAddr(*base + start as u64);
            watch.look(bytes, |offset| {
                (Source::Object(cache, offset as u32), at.plus(offset as u64))
            });
        }
        let memory = Memory {
            bytes,
            start: self.targets.physical(*base + start as u64),
            node: Some(object),
            cache: Some(cache),
            hole: shape.hole,
        };
        let source = |offset: usize| Source::Object(cache, offset as u32);
        self.follow(&memory, (counts, edges), false, source);
    }
}
