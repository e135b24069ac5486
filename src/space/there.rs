//! Memory of which pages may be missing, read as far as it is there.

use std::ops::Range;

use super::AddressSpace;
use crate::addr::VirtAddr;

impl AddressSpace {
    /// Fills `out` from memory at `va`, page by page: what can't be read is zeros. Which bytes of
    /// `out` those are, in order; none if all of it is there.
    pub fn read_there(&self, va: VirtAddr, out: &mut [u8]) -> Vec<Range<usize>> {
        if self.read(va, out).is_ok() {
            return Vec::new();
        }
        let mut holes = Vec::new();
        for part in self.by_page(va, out.len()) {
            let Some(now) = out.get_mut(part.clone()) else {
                break;
            };
            // Of a page that a segment holds in part, what was filled before the fault stays.
            now.fill(0);
            if self.read(va.plus(part.start as u64), now).is_err() {
                holes.push(part);
            }
        }
        holes
    }

    /// `len` bytes at `va` as far as they are there, as by [`read_there`](Self::read_there).
    pub fn bytes_there(&self, va: VirtAddr, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.read_there(va, &mut out);
        out
    }

    /// `len` bytes at `va` cut where pages end: ranges from 0.
    pub fn by_page(&self, va: VirtAddr, len: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let page = self.dump().page_size();
        let mut start = 0;
        std::iter::from_fn(move || {
            let within = va.plus(start as u64).0 as usize % page;
            let end = len.min(start + page - within);
            let part = (start < end).then_some(start..end);
            start = end;
            part
        })
    }
}
