//! Pages as large as the kernel's, where the format of the dump knows no page size: raw images and
//! the like are read in the smallest pages until the kernel's note is found.

use std::fmt;
use std::ops::Range;

use super::PageFault;
use super::facts::DumpFacts;
use super::page_source::{PageSource, SharedSource, Stored, as_below};
use crate::addr::Pfn;

/// Another source, of which several pages are one.
pub(crate) struct Larger {
    below: SharedSource,
    /// How many are one.
    per: u64,
}

impl Larger {
    /// `page_size` is a multiple of that of the source.
    pub(crate) fn new(below: SharedSource, page_size: u32) -> Self {
        let per = u64::from(page_size / below.page_size().max(1)).max(1);
        Self { below, per }
    }

    /// The pages that a page is made of; none where there are no such numbers.
    fn parts(&self, pfn: Pfn) -> impl Iterator<Item = Pfn> + use<> {
        let first = pfn.0.saturating_mul(self.per);
        (first..first.saturating_add(self.per)).map(Pfn)
    }
}

impl fmt::Debug for Larger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} by {} pages", self.below, self.per)
    }
}

impl PageSource for Larger {
    as_below!(notes is_live header machine file_bytes);

    fn facts(&self) -> DumpFacts {
        let facts = self.below.facts();
        DumpFacts {
            page_size: self.page_size(),
            max_pfn: self.max_pfn(),
            ram_pages: facts.ram_pages / self.per,
            dumped_pages: facts.dumped_pages / self.per,
            missing_pages: facts.missing_pages.div_ceil(self.per),
            pages_of_absent_parts: facts.pages_of_absent_parts.div_ceil(self.per),
            ..facts
        }
    }

    fn page_size(&self) -> u32 {
        self.below.page_size().saturating_mul(self.per as u32)
    }

    fn max_pfn(&self) -> u64 {
        self.below.max_pfn().div_ceil(self.per)
    }

    fn pfns(&self) -> Vec<Range<u64>> {
        let below = self.below.pfns().into_iter();
        below
            .map(|pfns| pfns.start / self.per..pfns.end.div_ceil(self.per))
            .collect()
    }

    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault> {
        let size = self.below.page_size() as usize;
        let mut out = Vec::with_capacity(self.page_size() as usize);
        for part in self.parts(pfn) {
            match self.below.locate(part)? {
                Stored::Plain(bytes) => out.extend_from_slice(bytes),
                Stored::Owned(bytes) => out.extend(bytes),
                Stored::Packed {
                    codec,
                    data,
                    offset,
                } => {
                    let mut page = vec![0; size];
                    codec
                        .decompress(&data, &mut page)
                        .map_err(|why| PageFault::Corrupt { pfn, offset, why })?;
                    out.extend(page);
                }
            }
        }
        Ok(Stored::Owned(out))
    }

    fn holds_part_of(&self, pfn: Pfn) -> bool {
        self.parts(pfn).any(|part| self.below.holds_part_of(part))
    }

    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        out.fill(0);
        let size = self.below.page_size() as usize;
        let mut worst = None;
        for (place, part) in self.parts(pfn).enumerate() {
            let (from, to) = (place * size, (place + 1) * size);
            let wanted = from.max(start)..to.min(start.saturating_add(out.len()));
            let Some(now) = wanted
                .start
                .checked_sub(start)
                .and_then(|at| out.get_mut(at..wanted.end.saturating_sub(start)))
                .filter(|now| !now.is_empty())
            else {
                continue;
            };
            // Whole pages have no parts to be put together.
            match self.below.locate(part) {
                Ok(Stored::Plain(bytes)) => copy(bytes, wanted.start - from, now),
                Ok(Stored::Owned(bytes)) => copy(&bytes, wanted.start - from, now),
                _ => {
                    worst = self
                        .below
                        .fill_partly(part, wanted.start - from, now)
                        .or(worst)
                }
            }
        }
        worst
    }
}

fn copy(page: &[u8], start: usize, out: &mut [u8]) {
    if let Some(from) = page.get(start..).and_then(|rest| rest.get(..out.len())) {
        out.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::addr::Pfn;
    use crate::dump::{Dump, VmcoreInfo};

    /// Four small pages of a raw image, of which the last is cut, are a page and a part of one.
    #[test]
    fn small_pages_make_a_large_one() {
        let mut memory: Vec<u8> = (0..8u8).flat_map(|page| [page + 1; 4096]).collect();
        memory.truncate(7 * 4096 + 100);
        let lime = {
            let mut out = Vec::new();
            out.extend(0x4c69_4d45u32.to_le_bytes());
            out.extend(1u32.to_le_bytes());
            out.extend(0u64.to_le_bytes());
            out.extend((8 * 4096 - 1u64).to_le_bytes());
            out.extend([0; 8]);
            out.extend(&memory);
            out
        };
        let small = Dump::from_bytes(Path::new("image"), lime, 1 << 20).expect("an image");
        assert_eq!(small.page_size(), 4096);
        let info = VmcoreInfo::parse(b"OSRELEASE=6.1\nPAGESIZE=16384\n");
        let large = small.noted(info);
        assert_eq!(large.page_size(), 16384);
        let page = large.page(Pfn(0)).expect("whole");
        assert_eq!(
            (page.len(), page[0], page[4096], page[16383]),
            (16384, 1, 2, 4)
        );
        assert!(large.page(Pfn(1)).is_err() && large.holds_part_of(Pfn(1)));
        let mut part = vec![9; 16384 - 4000];
        assert!(large.read_part(Pfn(1), 4000, &mut part).is_some());
        let at = |offset: usize| part[offset - 4000];
        assert_eq!((at(4000), at(4096), at(3 * 4096 - 1)), (5, 6, 7));
        // Of the small page that is cut nothing is believed.
        assert_eq!((at(3 * 4096), at(4 * 4096 - 1)), (0, 0));
    }
}
