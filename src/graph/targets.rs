//! From any word of memory to the object that it points into.
//!
//! A word counts if it is an address of the direct map inside a slab's objects, at any
//! offset. Tags in low bits, nulls markers, maple nodes and pointers to members then
//! need no code of their own; physical addresses, page numbers and pointers at other
//! alignments were tried on real dumps and point to nothing that is not found anyway.
//! A block of large kmalloc, where the kernel marks them, is a slab of one object, of a
//! cache that is behind all others.

use std::ops::Range;

use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::memmap::PageIndex;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabHeap;

/// Where the objects of one slab lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabSpan {
    /// Address of the first object.
    pub(crate) start: u64,
    /// The number of the first object among all.
    pub(crate) first: u32,
    /// How many objects there are.
    pub(crate) objects: u32,
    /// Its cache, by number; of a copy for a memory cgroup, the cache that it is of.
    pub(crate) cache: u32,
    /// From object to object.
    pub(crate) stride: u32,
    /// `2^32 / stride`, rounded up: slabs are below 16 MiB, and blocks a power of two, so the
    /// product is exact enough.
    reciprocal: u64,
}

impl SlabSpan {
    /// The numbers of its objects.
    pub(crate) fn numbers(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.objects
    }

    /// Where an object of it begins.
    pub(crate) fn address(&self, object: u32) -> VirtAddr {
        let index = u64::from(object.saturating_sub(self.first));
        VirtAddr(self.start + index * u64::from(self.stride))
    }

    /// The index of the object that `address` lies in.
    fn index_of(&self, address: u64) -> Option<u32> {
        let offset = address.checked_sub(self.start)?;
        let mut index = ((offset * self.reciprocal) >> 32) as u32;
        // Rounding up may be one too far at the end of an object.
        if u64::from(index) * u64::from(self.stride) > offset {
            index -= 1;
        }
        (index < self.objects).then_some(index)
    }
}

/// What pointers may point to.
#[derive(Debug)]
pub(crate) struct Targets {
    index: PageIndex,
    /// For each page the number of its slab and one, or 0: memory of zeros costs nothing until it
    /// is asked for.
    slabs_of: Vec<u32>,
    pub(crate) slabs: Vec<SlabSpan>,
    /// The numbers of the blocks of large kmalloc, behind all objects of slabs.
    blocks: Range<u32>,
    /// Start of the direct map.
    direct: u64,
    /// Bytes of it that can hold slabs.
    reach: u64,
    shift: u32,
    /// Objects in all slabs, and blocks.
    pub(crate) objects: u32,
}

impl Targets {
    /// `blocks` are those of large kmalloc: first page, and logarithm of the pages.
    ///
    /// # Errors
    /// If there are more objects than can be numbered.
    pub(crate) fn of(
        kernel: &Kernel,
        heap: &SlabHeap<'_>,
        index: &PageIndex,
        blocks: &[(Pfn, u32)],
    ) -> Result<Self, KernelError> {
        let mut slabs_of = vec![0u32; index.len()];
        let mut take = |pfn: Pfn, order: u32, number: u32| {
            for page in pfn.0..pfn.0.saturating_add(1 << order) {
                let at = index.get(Pfn(page));
                if let Some(slot) = at.and_then(|at| slabs_of.get_mut(at)) {
                    *slot = number + 1;
                }
            }
        };
        let counted_in = heap.counted_in();
        let mut slabs = Vec::with_capacity(heap.slabs().len() + blocks.len());
        let mut first = 0u32;
        for (number, slab) in (0u32..).zip(heap.slabs()) {
            let cache = counted_in.get(slab.cache as usize);
            let cache = cache.map_or(slab.cache, |cache| *cache as u32);
            let Some(geometry) = heap.geometry(slab) else {
                slabs.push(SlabSpan {
                    start: 0,
                    first,
                    objects: 0,
                    cache,
                    stride: 1,
                    reciprocal: 0,
                });
                continue;
            };
            let stride = geometry.stride();
            slabs.push(SlabSpan {
                start: geometry.address_of(0).0,
                first,
                objects: geometry.objects(),
                cache,
                stride,
                reciprocal: (1u64 << 32).div_ceil(u64::from(stride)),
            });
            first = first.checked_add(geometry.objects()).ok_or_else(|| {
                KernelError::Unsupported("there are more slab objects than can be numbered: this dump is too large for the search for unreachable ones".into())
            })?;
            take(slab.pfn, u32::from(slab.order), number);
        }
        let shift = kernel.dump().page_shift();
        // The cache that they count as.
        let blocks_cache = heap.caches().len() as u32;
        let first_block = first;
        for (pfn, order) in blocks {
            let Some(next) = first.checked_add(1) else {
                break;
            };
            take(*pfn, *order, slabs.len() as u32);
            // The order is bounded (page_kinds), so that this is 1 GiB at most.
            let stride = 1u32 << (*order + shift);
            slabs.push(SlabSpan {
                start: kernel.space.direct_map_address(pfn.start(shift)).0,
                first,
                objects: 1,
                cache: blocks_cache,
                stride,
                reciprocal: (1u64 << 32).div_ceil(u64::from(stride)),
            });
            first = next;
        }
        Ok(Self {
            blocks: first_block..first,
            reach: index.end().0 << shift,
            direct: kernel.space.direct_map_zero().0,
            index: index.clone(),
            slabs_of,
            slabs,
            shift,
            objects: first,
        })
    }

    /// Whether a word can point into a slab at all: the cheap first question.
    pub(crate) fn may_point(&self, word: u64) -> bool {
        word.wrapping_sub(self.direct) < self.reach
    }

    /// The number of the object that a word points into, and that of its cache.
    pub(crate) fn object(&self, word: u64) -> Option<(u32, u32)> {
        let (_, slab) = self.slab(word)?;
        Some((slab.first + slab.index_of(word)?, slab.cache))
    }

    /// The physical address of an address of the direct map.
    pub(crate) fn physical(&self, address: u64) -> Option<PhysAddr> {
        let offset = address.wrapping_sub(self.direct);
        (offset < self.reach).then_some(PhysAddr(offset))
    }

    fn slab(&self, word: u64) -> Option<(u32, &SlabSpan)> {
        let pfn = Pfn(word.wrapping_sub(self.direct) >> self.shift);
        let number = self.slabs_of.get(self.index.get(pfn)?)?.checked_sub(1)?;
        Some((number, self.slabs.get(number as usize)?))
    }

    /// The numbers of the blocks of large kmalloc.
    pub(crate) fn blocks(&self) -> Range<u32> {
        self.blocks.clone()
    }

    /// Where an object lies: its slab, and its index there.
    pub(crate) fn place(&self, object: u32) -> Option<(u32, u32)> {
        let after = self.slabs.partition_point(|slab| slab.first <= object);
        let number = after.checked_sub(1)?;
        let slab = self.slabs.get(number)?;
        let index = object - slab.first;
        (index < slab.objects).then_some((number as u32, index))
    }

    /// Where an object starts, and how many bytes it is from the next.
    pub(crate) fn address(&self, object: u32) -> Option<(VirtAddr, u32)> {
        let (number, _) = self.place(object)?;
        let slab = self.slabs.get(number as usize)?;
        Some((slab.address(object), slab.stride))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, first: u32, stride: u32, objects: u32) -> SlabSpan {
        SlabSpan {
            start,
            first,
            objects,
            cache: 0,
            stride,
            reciprocal: (1u64 << 32).div_ceil(u64::from(stride)),
        }
    }

    #[test]
    fn every_offset_of_every_stride_leads_to_its_object() {
        for stride in [8u32, 24, 96, 104, 192, 200, 232, 1088, 2744, 4096, 8192] {
            let objects = (1 << 15) / stride;
            let slab = span(0x1_0040, 0, stride, objects);
            for offset in 0..1u64 << 15 {
                let index = (offset / u64::from(stride)) as u32;
                let expected = (index < objects).then_some(index);
                assert_eq!(
                    slab.index_of(0x1_0040 + offset),
                    expected,
                    "{stride} {offset}"
                );
            }
            assert_eq!(slab.index_of(0x1_003f), None);
        }
    }

    /// In the largest slabs rounding is one too far.
    #[test]
    fn both_ends_of_the_objects_of_large_slabs() {
        for stride in [2744u32, 8200, 33_000, 131_080] {
            let objects = (1 << 24) / stride;
            let slab = span(0, 0, stride, objects);
            for index in 0..objects {
                let first = u64::from(index) * u64::from(stride);
                let last = first + u64::from(stride) - 1;
                let found = [first, last].map(|offset| slab.index_of(offset));
                assert_eq!(found, [Some(index); 2], "{stride}");
            }
        }
    }

    #[test]
    fn objects_begin_a_stride_apart() {
        let slab = span(0x1_0040, 7, 192, 3);
        assert_eq!(slab.numbers(), 7..10);
        let starts = slab.numbers().map(|object| slab.address(object).0);
        assert_eq!(starts.collect::<Vec<_>>(), [0x1_0040, 0x1_0100, 0x1_01c0]);
    }
}
