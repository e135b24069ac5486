//! Chunks of per-CPU memory that were added after boot (mm/percpu.c).
//!
//! A chunk has a unit for each possible CPU. What was allocated lies at the same place in all of
//! them, and is known by a pointer that is no address: an address of the first chunk's first unit
//! is what the variables of the image stand for, and all else is as far from that.

use super::cpus::Cpus;
use super::layout::layout;
use super::{Kernel, KernelError, walk};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::space::MemFault;

layout! {
    /// mm/percpu-internal.h
    pub(crate) struct ChunkLayout = "pcpu_chunk" in "mm/percpu.c" {
        need list = "list",
        need base = "base_addr",
        need populated = "populated",
        /// 3.18 and later (commit b539b87fed37).
        maybe populated_pages = "nr_populated",
        /// A bit for each 4 bytes of a unit, 4.14 and later (commit 40064aeca35c).
        maybe allocated = "alloc_map",
        /// Set where an allocation begins, and where one ends.
        maybe bounds = "bound_map",
    }
}

/// Slots are by logarithm of the free size: some 20 of each type.
const MAX_SLOTS: u64 = 256;
/// Chunks have some 2 MiB each.
const MAX_CHUNKS: u64 = 1 << 20;
/// Pages of one unit: more than 64 MiB no CPU has in one chunk.
const MAX_UNIT: u64 = 1 << 14;
/// `PCPU_MIN_ALLOC_SIZE`.
const GRAIN: u64 = 4;

/// The chunks that were added after boot.
#[derive(Debug)]
pub(crate) struct LaterChunks {
    /// Their `struct pcpu_chunk`s.
    pub(crate) chunks: Vec<VirtAddr>,
    pub(crate) layout: ChunkLayout,
    /// Pages of one unit.
    pub(crate) unit_pages: u64,
    /// Whether all of them were reached.
    pub(crate) complete: bool,
}

/// An allocation: bytes from the start of a unit, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

impl LaterChunks {
    /// Walks the lists; `None` of a kernel that has no such lists.
    pub(crate) fn read(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        // `pcpu_slot` up to 5.8.
        let lists = ["pcpu_chunk_lists", "pcpu_slot"]
            .into_iter()
            .find(|name| kernel.symbol(name).is_some());
        let Some(lists) = lists else {
            return Ok(None);
        };
        let mut found = Self {
            chunks: Vec::new(),
            layout: kernel.layout()?,
            unit_pages: 0,
            complete: false,
        };
        let (Some(lists), Some(slots), Some(first), Some(unit)) = (
            kernel.u64_of(lists).value(),
            kernel.u32_of("pcpu_nr_slots").value(),
            kernel.u64_of("pcpu_first_chunk").value(),
            kernel.u32_of("pcpu_unit_pages").value(),
        ) else {
            return Ok(Some(found));
        };
        found.unit_pages = u64::from(unit).min(MAX_UNIT);
        found.complete = true;
        // One set of slots per type from 5.9 to 5.13.
        let types = kernel
            .types
            .enumerator("pcpu_chunk_type", "mm/percpu.c", "PCPU_NR_CHUNK_TYPES")?
            .map_or(1, |types| types.clamp(1, 4).unsigned_abs());
        for slot in 0..(u64::from(slots) * types).min(MAX_SLOTS) {
            let head = VirtAddr(lists).plus(slot * 16);
            let chunks = walk::list(&kernel.space, head, MAX_CHUNKS);
            found.complete &= chunks.end.is_complete();
            let chunks = chunks.value.into_iter();
            let chunks = chunks.map(|link| link.minus(u64::from(found.layout.list.offset)));
            found.chunks.extend(chunks.filter(|chunk| chunk.0 != first));
        }
        Ok(Some(found))
    }

    /// Where the first unit of a chunk begins, as far as [`units`] counts from.
    pub(crate) fn base(&self, kernel: &Kernel, chunk: VirtAddr) -> Result<VirtAddr, MemFault> {
        let at = chunk.plus(u64::from(self.layout.base.offset));
        kernel.space.read_ptr(at)
    }

    /// Numbers of the pages of each unit that are there.
    pub(crate) fn populated(&self, kernel: &Kernel, chunk: VirtAddr) -> Result<Vec<u64>, MemFault> {
        let at = chunk.plus(u64::from(self.layout.populated.offset));
        let bits = bitmap(kernel, at, self.unit_pages)?;
        Ok((0..self.unit_pages)
            .filter(|page| is_set(&bits, *page))
            .collect())
    }

    /// All that is allocated in a chunk, in order; `None` of a kernel that keeps it otherwise.
    pub(crate) fn allocations(
        &self,
        kernel: &Kernel,
        chunk: VirtAddr,
    ) -> Option<Result<Vec<Allocation>, MemFault>> {
        let (allocated, bounds) = self.layout.allocated.zip(self.layout.bounds)?;
        let grains = (self.unit_pages << kernel.dump().page_shift()) / GRAIN;
        let read = |field: super::layout::Field, grains| {
            let at = chunk.plus(u64::from(field.offset));
            bitmap(kernel, kernel.space.read_ptr(at)?, grains)
        };
        // One bound more than there are places.
        let maps = read(allocated, grains).and_then(|map| Ok((map, read(bounds, grains + 1)?)));
        Some(maps.map(|(allocated, bounds)| between(&allocated, &bounds, grains)))
    }
}

/// Allocations lie from one bound to the next where the first place is taken.
fn between(allocated: &[u8], bounds: &[u8], grains: u64) -> Vec<Allocation> {
    let mut found = Vec::new();
    let mut start = None;
    for bound in set_bits(bounds)
        .take_while(|bound| *bound < grains)
        .chain([grains])
    {
        if let Some(start) = start.filter(|start| is_set(allocated, *start)) {
            found.push(Allocation {
                offset: (start * GRAIN) as u32,
                bytes: ((bound - start) * GRAIN) as u32,
            });
        }
        start = Some(bound);
    }
    found
}

fn bitmap(kernel: &Kernel, at: VirtAddr, bits: u64) -> Result<Vec<u8>, MemFault> {
    kernel.space.read_bytes(at, bits.div_ceil(64) as usize * 8)
}

/// Numbers of the bits that are set.
fn set_bits(bits: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let words = (0u64..).zip(bits.as_chunks::<8>().0);
    words.flat_map(|(number, word)| {
        let mut word = u64::from_le_bytes(*word);
        std::iter::from_fn(move || {
            let bit = u64::from(word.trailing_zeros());
            let set = word != 0;
            word &= word.wrapping_sub(1);
            set.then_some(number * 64 + bit)
        })
    })
}

fn is_set(bits: &[u8], number: u64) -> bool {
    let word = u64_at(bits, (number / 64) as usize * 8).unwrap_or(0);
    word >> (number % 64) & 1 == 1
}

/// How far from a chunk's base the unit of each possible CPU begins.
pub(crate) fn units(kernel: &Kernel, cpus: &Cpus) -> Option<Vec<u64>> {
    let offsets = kernel.u64_of("pcpu_unit_offsets").value()?;
    let units = cpus.numbers().map(|cpu| {
        let at = VirtAddr(offsets).plus(u64::from(cpu) * 8);
        kernel.space.read_u64(at).ok()
    });
    units.collect()
}

/// What a pointer is beyond the address in a chunk's first unit, modulo 2^64: with the offset of a
/// CPU it is the address in that CPU's unit. `units` are of the same CPUs.
pub(crate) fn pointer_offset(cpus: &Cpus, units: &[u64]) -> Option<u64> {
    let (_, offset) = cpus.instances(VirtAddr(0)).next()?;
    Some(units.first()?.wrapping_sub(offset.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_lies_between_two_bounds() {
        // Places 0 and 1 are one allocation, 2 is free, 3 another, 4 to 63 the last.
        let bounds: u64 = 0b11101;
        let allocated = !0b100u64;
        let (bounds, allocated) = (
            [bounds.to_le_bytes(), 1u64.to_le_bytes()].concat(),
            allocated.to_le_bytes().to_vec(),
        );
        let found = between(&allocated, &bounds, 64);
        let all: Vec<_> = found.iter().map(|one| (one.offset, one.bytes)).collect();
        assert_eq!(all, [(0, 8), (12, 4), (16, 240)]);
    }
}
