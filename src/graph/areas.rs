//! Areas of vmalloc as what pointers may lead to, beside slab objects.
//!
//! Numbered behind the objects. What lies in an area's own pages is reachable only if the
//! area is; which pages are an area's, the page tables say. The kernel's own records of
//! areas are no references: the words that only say where an area lies are passed over.

use std::sync::atomic::{AtomicU32, Ordering};

use rustc_hash::{FxHashMap, FxHashSet};

use super::targets::Targets;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::cpus::Cpus;
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::vmalloc::{AreaKind, Records, VmallocArea, VmallocFacts};

/// `NR_CACHED_STACKS` is 2; what lies behind the array is no area's record.
const CACHED_STACKS: u64 = 16;

/// More words than are stale by chance.
const STALE: u32 = 4;

/// Where areas lie, and who knows of them.
#[derive(Debug, Default)]
pub(crate) struct Areas {
    /// By address.
    areas: Vec<VmallocArea>,
    /// Where each starts and ends, close together for the search.
    spans: Vec<(VirtAddr, VirtAddr)>,
    /// The number of the first.
    first: u32,
    /// Start and length of what holds all areas, parted at the widest gap: between vmalloc's and
    /// those of modules lie the memmap and the kernel itself, which words point to a lot.
    reach: [(u64, u64); 2],
    /// The area that a page belongs to, by its place among the areas.
    pages: FxHashMap<Pfn, u32>,
    records: Records,
    /// Where records say where areas lie.
    words: FxHashSet<PhysAddr>,
    /// Caches that records are objects of.
    caches: FxHashSet<u32>,
    cached_stacks: FxHashSet<VirtAddr>,
    /// Words that point to each area's first address, and further into it.
    references: Vec<[AtomicU32; 2]>,
    /// Whether all areas are known.
    pub(crate) complete: bool,
    /// Places that can't be told since the dump lacks what they hang on.
    pub(crate) gaps: u64,
}

impl Areas {
    /// Tells the pages that `areas` hold. Where they can't be read that is said, and their pages
    /// stay the kernel's own.
    pub(crate) fn of(
        kernel: &Kernel,
        areas: Result<VmallocFacts, KernelError>,
        targets: &Targets,
        kinds: &PageKinds,
    ) -> Self {
        let found = areas.and_then(|facts| Self::among(kernel, facts, targets));
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                kernel.diag.warn(
                    "vmalloc-areas-unknown",
                    format!("areas of vmalloc are not searched for: {error}; what they hold counts as reachable"),
                );
                return Self::default();
            }
        };
        found.find_pages(kernel, kinds);
        found
    }

    fn among(kernel: &Kernel, facts: VmallocFacts, targets: &Targets) -> Result<Self, KernelError> {
        let records = Records::of(kernel)?;
        let mut areas = facts.areas;
        let mut gaps = 0;
        let words = areas.iter().flat_map(|area| records.words(area));
        let words = words.filter_map(|at| match kernel.space.translate(at) {
            Ok(mapping) => Some(mapping.phys),
            Err(fault) => {
                gaps += u64::from(fault.page_fault().is_some());
                None
            }
        });
        let words = words.collect();
        let caches = areas.iter();
        let caches = caches.filter_map(|area| targets.object(area.vmap_area.0));
        let caches = caches.map(|(_, cache)| cache).collect();
        // Where the image lies among the areas, the kernel declares it as some of them
        // (declare_vma()); what lies there are variables.
        let image = kernel.space.boot().image.value;
        let in_image = |area: &VmallocArea| (image.start..image.end).contains(&area.start);
        areas.retain(|area| area.kind == AreaKind::Vm && !in_image(area));
        areas.sort_by_key(|area| area.start);
        let spans: Vec<_> = areas.iter().map(|area| (area.start, area.end)).collect();
        Ok(Self {
            reach: reach(&spans),
            spans,
            references: areas.iter().map(|_| Default::default()).collect(),
            areas,
            first: targets.objects,
            pages: FxHashMap::default(),
            records,
            words,
            caches,
            cached_stacks: cached_stacks(kernel, &mut gaps)?,
            complete: facts.all_read,
            gaps,
        })
    }

    /// Walks the page tables. No more pages can be held than there are.
    fn find_pages(&mut self, kernel: &Kernel, kinds: &PageKinds) {
        let shift = kernel.dump().page_shift();
        let mut left = kernel.dump().facts().ram_pages;
        for (place, area) in (0u32..).zip(&self.areas) {
            if !holds_pages(area) {
                continue;
            }
            let count = area.pages.min(area.bytes() >> shift);
            let Some(rest) = left.checked_sub(count) else {
                self.complete = false;
                kernel.diag.warn(
                    "vmalloc-too-large",
                    "the areas of vmalloc hold more pages than there are: what the others hold counts as reachable; the kernel's records of them are damaged",
                );
                return;
            };
            left = rest;
            for page in 0..count {
                let mapping = match kernel.space.translate(area.start.plus(page << shift)) {
                    Ok(mapping) => mapping,
                    Err(fault) => {
                        self.gaps += u64::from(fault.page_fault().is_some());
                        continue;
                    }
                };
                let pfn = Pfn::containing(mapping.phys, shift);
                if kinds.get(pfn) == PageKind::Kernel {
                    kinds.set(pfn, 0, PageKind::Vmalloc);
                    self.pages.insert(pfn, place);
                }
            }
        }
    }

    /// How many numbers areas take.
    pub(crate) fn len(&self) -> u32 {
        self.areas.len() as u32
    }

    /// Areas that hold pages of their own, with their numbers.
    pub(crate) fn holders(&self) -> impl Iterator<Item = (u32, &VmallocArea)> {
        let areas = (self.first..).zip(&self.areas);
        areas.filter(|(_, area)| holds_pages(area))
    }

    /// Whether it is the stack of a task that is gone, kept for the next.
    pub(crate) fn is_cached_stack(&self, area: &VmallocArea) -> bool {
        area.vm_struct
            .is_some_and(|vm| self.cached_stacks.contains(&vm))
    }

    /// The number of the area that a page belongs to.
    pub(crate) fn of_page(&self, pfn: Pfn) -> Option<u32> {
        Some(self.first + self.pages.get(&pfn)?)
    }

    /// Whether a word can point into an area at all: the cheap first question.
    pub(crate) fn may_point(&self, word: u64) -> bool {
        let within = |(start, len): (u64, u64)| word.wrapping_sub(start) < len;
        within(self.reach[0]) || within(self.reach[1])
    }

    /// The area that an address lies in, with its number.
    pub(crate) fn at(&self, address: VirtAddr) -> Option<(u32, &VmallocArea)> {
        let place = self.place(address)?;
        Some((self.first + place as u32, self.areas.get(place)?))
    }

    fn place(&self, address: VirtAddr) -> Option<usize> {
        let after = self.spans.partition_point(|(start, _)| *start <= address);
        let place = after.checked_sub(1)?;
        let (_, end) = self.spans.get(place)?;
        (address < *end).then_some(place)
    }

    /// The number of the area that a word at `at` points into, unless it is a record's or the
    /// area's own (`from`).
    pub(crate) fn pointed_to(
        &self,
        word: u64,
        at: Option<PhysAddr>,
        from: Option<u32>,
    ) -> Option<u32> {
        let place = self.place(VirtAddr(word))?;
        let number = self.first + place as u32;
        if from == Some(number) || at.is_some_and(|at| self.words.contains(&at)) {
            return None;
        }
        let [first, further] = self.references.get(place)?;
        let count = match self.spans.get(place)?.0.0 == word {
            true => first,
            false => further,
        };
        // Enough is enough: threads would take the line from each other.
        if count.load(Ordering::Relaxed) <= STALE {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(number)
    }

    /// Whether all that points to an area are a few words into its middle, as stale ones do: the
    /// owner of an area knows where it starts.
    pub(crate) fn is_hardly_held(&self, number: u32) -> bool {
        let place = number.checked_sub(self.first);
        let counts = place.and_then(|place| self.references.get(place as usize));
        counts.is_some_and(|[first, further]| {
            first.load(Ordering::Relaxed) == 0 && further.load(Ordering::Relaxed) <= STALE
        })
    }

    /// Whether an object of `cache` looks like a `struct vmap_area`: free ones are records too,
    /// and end where an area begins.
    pub(crate) fn is_record(&self, cache: u32, object: &[u8]) -> bool {
        self.caches.contains(&cache) && self.records.looks_like_one(object)
    }

    /// Whether the word at this offset of a `struct vmap_area` says where it lies.
    pub(crate) fn is_place_in_record(&self, offset: usize) -> bool {
        self.records.is_place(offset)
    }
}

/// Start and length of the two ranges that hold all `spans`, which are sorted.
fn reach(spans: &[(VirtAddr, VirtAddr)]) -> [(u64, u64); 2] {
    let (Some((low, _)), Some(high)) = (spans.first(), spans.iter().map(|(_, end)| end.0).max())
    else {
        return [(0, 0); 2];
    };
    let pairs = spans.windows(2).filter_map(|pair| match pair {
        [(_, end), (start, _)] => Some((start.0.saturating_sub(end.0), end.0, start.0)),
        _ => None,
    });
    let (_, gap, after) = pairs.max().unwrap_or((0, high, high));
    [
        (low.0, gap.saturating_sub(low.0)),
        (after, high.saturating_sub(after)),
    ]
}

/// Pages of vmap() and ioremap() belong to others.
fn holds_pages(area: &VmallocArea) -> bool {
    area.pages > 0 && area.flags.contains(&"vmalloc")
}

/// kernel/fork.c: `cached_stacks`, of `struct vm_struct *` on each CPU.
fn cached_stacks(kernel: &Kernel, gaps: &mut u64) -> Result<FxHashSet<VirtAddr>, KernelError> {
    let mut found = FxHashSet::default();
    let Some(stacks) = kernel.symbol("cached_stacks") else {
        return Ok(found);
    };
    for (_, at) in Cpus::read(kernel)?.instances(stacks) {
        for index in 0..CACHED_STACKS {
            match kernel.space.read_ptr(at.plus(index * 8)) {
                Ok(word) if word.is_null() => {}
                Ok(word) => {
                    found.insert(word);
                }
                // Behind the array there may be nothing.
                Err(_) => {
                    *gaps += u64::from(index == 0);
                    break;
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_gap_holds_nothing() {
        let spans = [(0x1000, 0x3000), (0x4000, 0x5000), (0x9000, 0xa000)];
        let spans = spans.map(|(start, end)| (VirtAddr(start), VirtAddr(end)));
        assert_eq!(reach(&spans), [(0x1000, 0x4000), (0x9000, 0x1000)]);
        assert_eq!(reach(&spans[..1]), [(0x1000, 0x2000), (0x3000, 0)]);
        assert_eq!(reach(&[]), [(0, 0); 2]);
    }
}
