//! Allocations of per-CPU memory that nothing points to.
//!
//! Input: the chunks that were added after boot. A word means an allocation if it is its pointer,
//! which is no address, or the address of what a CPU has of it; from inside the allocation itself it
//! means nothing. What lies in the chunk set aside at boot is not judged: pointers into it are small
//! numbers. Invariant: whatever else holds such a word keeps the allocation, lost objects too.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::bitmap::Bitmap;
use super::content::{self, Content};
use super::words::Prefix;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::cpus::Cpus;
use crate::kernel::percpu_chunks::{Allocation, LaterChunks, pointer_offset, units};
use crate::kernel::variables::Variables;
use crate::kernel::{Kernel, KernelError};

/// What became of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PercpuReach {
    /// Allocations that were looked for; `None` if the kernel keeps them otherwise (before 4.14), or
    /// not all of them can be told.
    pub judged: Option<u64>,
    /// Those that nothing points to.
    pub lost: Vec<LostPercpu>,
    /// Possible CPUs: each has its part of an allocation.
    pub cpus: u64,
    /// What the first CPU's part looks like, of those of the size that most have.
    pub content: Content,
}

/// One allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LostPercpu {
    /// As `alloc_percpu()` gave it.
    pub pointer: VirtAddr,
    /// What the first CPU has of it.
    pub address: VirtAddr,
    /// Bytes for each CPU.
    pub bytes: u32,
}

impl PercpuReach {
    /// Bytes of those that nothing points to, over all CPUs.
    pub fn lost_bytes(&self) -> u64 {
        let each: u64 = self.lost.iter().map(|lost| u64::from(lost.bytes)).sum();
        each.saturating_mul(self.cpus)
    }
}

/// One chunk: numbers of its allocations begin at `first`.
#[derive(Debug)]
struct Chunk {
    base: VirtAddr,
    /// The pointer to its first byte.
    pointer: u64,
    first: u32,
    allocations: Vec<Allocation>,
}

/// A range of words, for the cheap first question.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    start: u64,
    len: u64,
}

impl Span {
    fn of(starts: impl Iterator<Item = u64> + Clone, bytes: u64) -> Self {
        let start = starts.clone().min().unwrap_or(0);
        let last = starts.max().unwrap_or(0);
        let len = match bytes {
            0 => 0,
            _ => last.wrapping_sub(start).saturating_add(bytes),
        };
        Self { start, len }
    }

    /// What its words have in common.
    pub(super) fn prefix(self) -> Option<Prefix> {
        let last = self.start.checked_add(self.len.checked_sub(1)?)?;
        Prefix::of(self.start, last)
    }

    pub(super) fn contains(self, word: u64) -> bool {
        word.wrapping_sub(self.start) < self.len
    }
}

/// Allocations, and which of them something points to.
#[derive(Debug)]
pub(super) struct PercpuWatch {
    /// By pointer.
    chunks: Vec<Chunk>,
    /// Where each unit begins, with its chunk.
    units: Vec<(u64, u32)>,
    unit_bytes: u64,
    pub(super) pointers: Span,
    pub(super) addresses: Span,
    /// Pages of units: the chunk, and where in its unit.
    pages: FxHashMap<Pfn, (u32, u32)>,
    marked: Bitmap,
    cpus: u64,
    complete: bool,
}

impl PercpuWatch {
    /// Over all chunks; `None` where the kernel has none, or keeps them otherwise.
    pub(super) fn read(kernel: &Kernel) -> Result<Option<Self>, KernelError> {
        let Some(later) = LaterChunks::read(kernel)? else {
            return Ok(None);
        };
        let cpus = Cpus::read(kernel)?;
        let units_of = units(kernel, &cpus).unwrap_or_default();
        let Some(beyond) = pointer_offset(&cpus, &units_of) else {
            return Ok(None);
        };
        let mut complete = later.complete;
        let mut chunks = Vec::new();
        for at in &later.chunks {
            let (base, allocations) = (later.base(kernel, *at), later.allocations(kernel, *at));
            let Some(allocations) = allocations else {
                return Ok(None);
            };
            let (Ok(base), Ok(allocations)) = (base, allocations) else {
                complete = false;
                continue;
            };
            chunks.push((*at, base, allocations));
        }
        chunks.sort_by_key(|(_, base, _)| base.0.wrapping_add(beyond));
        let mut watch = Self {
            unit_bytes: later.unit_pages << kernel.dump().page_shift(),
            cpus: cpus.len() as u64,
            complete,
            chunks: Vec::new(),
            units: Vec::new(),
            pointers: Span::default(),
            addresses: Span::default(),
            pages: FxHashMap::default(),
            marked: Bitmap::new(0),
        };
        let mut first = 0;
        for (number, (at, base, allocations)) in (0u32..).zip(chunks) {
            watch.add_pages(kernel, &later, (number, at, base), &units_of);
            let starts = units_of.iter().map(|offset| base.plus(*offset).0);
            watch.units.extend(starts.map(|start| (start, number)));
            let count = allocations.len() as u32;
            watch.chunks.push(Chunk {
                pointer: base.0.wrapping_add(beyond),
                base: base.plus(units_of.first().copied().unwrap_or(0)),
                first,
                allocations,
            });
            first += count;
        }
        watch.units.sort_unstable();
        watch.marked = Bitmap::new(first);
        let pointers = watch.chunks.iter().map(|chunk| chunk.pointer);
        watch.pointers = Span::of(pointers, watch.unit_bytes);
        let starts = watch.units.iter().map(|(start, _)| *start);
        watch.addresses = Span::of(starts, watch.unit_bytes);
        // Pointers that are like any number would tell nothing.
        let told = watch.pointers.prefix().is_some();
        Ok((told || !watch.complete).then_some(watch))
    }

    fn add_pages(
        &mut self,
        kernel: &Kernel,
        later: &LaterChunks,
        (number, chunk, base): (u32, VirtAddr, VirtAddr),
        units: &[u64],
    ) {
        let Ok(populated) = later.populated(kernel, chunk) else {
            self.complete = false;
            return;
        };
        let shift = kernel.dump().page_shift();
        for page in populated {
            for unit in units {
                match kernel.space.translate(base.plus(unit + (page << shift))) {
                    Ok(mapping) => {
                        let pfn = Pfn::containing(mapping.phys, shift);
                        self.pages.insert(pfn, (number, (page << shift) as u32));
                    }
                    Err(_) => self.complete = false,
                }
            }
        }
    }

    /// Takes note of a word at `at` (`None` on a stack) that [`Self::pointers`] or
    /// [`Self::addresses`] has.
    pub(super) fn word(&self, word: u64, at: Option<PhysAddr>, shift: u32) {
        let Some((chunk, offset)) = self.place(word) else {
            return;
        };
        let Some(number) = self.allocation(chunk, offset) else {
            return;
        };
        if at.and_then(|at| self.at(at, shift)) != Some(number) {
            self.marked.set(number);
        }
    }

    /// The chunk that a word means a place of.
    fn place(&self, word: u64) -> Option<(u32, u64)> {
        let after = self.chunks.partition_point(|chunk| chunk.pointer <= word);
        let by_pointer = after.checked_sub(1).and_then(|number| {
            let offset = word - self.chunks.get(number)?.pointer;
            (offset < self.unit_bytes).then_some((number as u32, offset))
        });
        by_pointer.or_else(|| {
            let after = self.units.partition_point(|(start, _)| *start <= word);
            let (start, chunk) = self.units.get(after.checked_sub(1)?)?;
            let offset = word - start;
            (offset < self.unit_bytes).then_some((*chunk, offset))
        })
    }

    /// The number of the allocation at a place of a chunk.
    fn allocation(&self, chunk: u32, offset: u64) -> Option<u32> {
        let chunk = self.chunks.get(chunk as usize)?;
        let all = &chunk.allocations;
        let after = all.partition_point(|one| u64::from(one.offset) <= offset);
        let index = after.checked_sub(1)?;
        let one = all.get(index)?;
        let within = offset < u64::from(one.offset) + u64::from(one.bytes);
        within.then_some(chunk.first + index as u32)
    }

    /// The number of the allocation that a word lies in.
    fn at(&self, at: PhysAddr, shift: u32) -> Option<u32> {
        let pfn = Pfn::containing(at, shift);
        let (chunk, start) = self.pages.get(&pfn)?;
        let within = at.0 - pfn.start(shift).0;
        self.allocation(*chunk, u64::from(*start) + within)
    }

    /// What became of them.
    pub(super) fn reach(&self, kernel: &Kernel, symbols: &Variables<'_>) -> PercpuReach {
        let numbered = self.chunks.iter().flat_map(|chunk| {
            let numbers = chunk.first..;
            let all = numbers.zip(&chunk.allocations);
            all.map(move |(number, one)| (number, chunk, one))
        });
        let mut judged = 0;
        let mut lost = Vec::new();
        for (number, chunk, one) in numbered {
            judged += 1;
            if !self.marked.get(number) {
                lost.push(LostPercpu {
                    pointer: VirtAddr(chunk.pointer.wrapping_add(one.offset.into())),
                    address: chunk.base.plus(one.offset.into()),
                    bytes: one.bytes,
                });
            }
        }
        PercpuReach {
            judged: self.complete.then_some(judged),
            content: look(kernel, symbols, &lost),
            cpus: self.cpus,
            lost,
        }
    }
}

/// At those of the size that most have.
fn look(kernel: &Kernel, symbols: &Variables<'_>, lost: &[LostPercpu]) -> Content {
    let mut sizes: FxHashMap<u32, u64> = FxHashMap::default();
    for one in lost {
        *sizes.entry(one.bytes).or_default() += 1;
    }
    let most = sizes
        .into_iter()
        .max_by_key(|(size, count)| (*count, *size));
    let Some((size, count)) = most else {
        return Content::default();
    };
    let alike = lost.iter().filter(|one| one.bytes == size);
    let addresses = alike.map(|one| one.address);
    content::look(kernel, symbols, addresses, count, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_e8ff_ffc0_0000;
    const POINTER: u64 = 0x0000_60fe_c000_0000;

    /// Two CPUs with units of 32 KiB; three allocations and a hole at 0x40.
    fn watch() -> PercpuWatch {
        let sizes = [(0, 0x40), (0x48, 8), (0x50, 0x100)];
        let allocations = sizes.map(|(offset, bytes)| Allocation { offset, bytes });
        let start = [BASE, BASE + 0x8000];
        PercpuWatch {
            chunks: vec![Chunk {
                base: VirtAddr(BASE),
                pointer: POINTER,
                first: 0,
                allocations: allocations.to_vec(),
            }],
            units: start.map(|start| (start, 0)).to_vec(),
            unit_bytes: 0x8000,
            pointers: Span::of([POINTER].into_iter(), 0x8000),
            addresses: Span::of(start.into_iter(), 0x8000),
            pages: [(Pfn(5), (0, 0)), (Pfn(9), (0, 0))].into_iter().collect(),
            marked: Bitmap::new(3),
            cpus: 2,
            complete: true,
        }
    }

    fn marked(words: &[(u64, Option<u64>)]) -> [bool; 3] {
        let watch = watch();
        for (word, at) in words {
            assert!(watch.pointers.contains(*word) || watch.addresses.contains(*word));
            watch.word(*word, at.map(PhysAddr), 12);
        }
        [0, 1, 2].map(|number| watch.marked.get(number))
    }

    #[test]
    fn a_pointer_and_an_address_of_any_cpu_mean_an_allocation() {
        assert_eq!(marked(&[(POINTER + 0x48, None)]), [false, true, false]);
        assert_eq!(
            marked(&[(BASE + 0x8000 + 0x51, None)]),
            [false, false, true]
        );
        assert_eq!(marked(&[(POINTER + 0x44, None)]), [false; 3], "a hole");
    }

    #[test]
    fn what_an_allocation_says_of_itself_keeps_it_not() {
        let itself = (BASE + 0x60, Some((9 << 12) + 0x58));
        assert_eq!(marked(&[itself]), [false; 3]);
        let neighbour = (BASE + 0x60, Some((9 << 12) + 0x48));
        assert_eq!(marked(&[neighbour]), [false, false, true]);
    }

    #[test]
    fn words_that_mean_nothing_are_told_at_once() {
        let watch = watch();
        for word in [0, POINTER - 1, POINTER + 0x8000, BASE - 1, BASE + 0x1_0000] {
            assert!(!watch.pointers.contains(word) && !watch.addresses.contains(word));
        }
        assert!(!Span::default().contains(0));
    }
}
