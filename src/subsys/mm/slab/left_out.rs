//! Whether the dump's writer left slab pages out: a makedumpfile older than the kernel takes
//! them for user pages.
//!
//! Input: a sample of the memmap, so that it costs little on any machine. Neither the slabs nor
//! their caches are read.

use super::pages::head_mask;
use crate::addr::Pfn;
use crate::dump::PageFault;
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::page::{MAX_PAGE_ORDER, PageLayout, PageMark, order_offset};
use crate::kernel::{Kernel, KernelError};

/// Chunks of page structures that are looked at, evenly spread.
const CHUNKS: usize = 32;

/// Slab pages of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeftOut {
    looked_at: u64,
    left_out: u64,
}

/// makedumpfile's bit for user pages in the dump level.
const USER_PAGES: u32 = 8;

/// Warns if slab pages were left out of the dump. What can't be looked at is no
/// sign of it: the commands that need it say so.
pub fn warn_if_many(kernel: &Kernel) {
    // A bundle has what was read of them.
    if kernel.dump().notes().bundle_of.is_some() {
        return;
    }
    let level = kernel.dump().facts().dump_level;
    if level.is_some_and(|level| level & USER_PAGES == 0) {
        return;
    }
    let Ok(found) = sample(kernel) else {
        return;
    };
    // A format that records no dump level leaves pages of zeros out, too: there may be some.
    let few = match level {
        Some(_) => 0,
        None => found.looked_at / 100,
    };
    if found.left_out > few {
        kernel.diag.warn(
            "slab-pages-left-out",
            format!(
                "{} of {} slab pages looked at were left out of the dump: a makedumpfile older than the kernel takes them for user pages; dump again with one as new as the kernel, or with -d 23, which leaves user pages in",
                found.left_out, found.looked_at
            ),
        );
    }
}

fn sample(kernel: &Kernel) -> Result<LeftOut, KernelError> {
    let memmap = Memmap::find(kernel)?;
    let page: PageLayout = kernel.layout()?;
    let looker = Looker {
        kernel,
        mark: PageMark::of_slabs(kernel)?,
        head_mask: head_mask(kernel)?,
        order_at: order_offset(kernel, &page, memmap.struct_page_size())?,
        page,
    };
    let parts = memmap.sample(kernel, CHUNKS, |chunk| looker.chunk(chunk));
    Ok(parts
        .into_iter()
        .fold(LeftOut::default(), |all, part| LeftOut {
            looked_at: all.looked_at + part.looked_at,
            left_out: all.left_out + part.left_out,
        }))
}

struct Looker<'k> {
    kernel: &'k Kernel,
    page: PageLayout,
    mark: PageMark,
    head_mask: u64,
    order_at: usize,
}

impl Looker<'_> {
    fn chunk(&self, chunk: &Chunk<'_>) -> LeftOut {
        let mut found = LeftOut::default();
        for index in 0..chunk.len() {
            let Some(record) = chunk.get(index) else {
                continue;
            };
            if !self.mark.holds(&self.page, record) {
                continue;
            }
            let first = chunk.start.0 + index as u64;
            for pfn in first..first + (1 << self.order(chunk, index, record)) {
                found.looked_at += 1;
                let fault = self.kernel.dump().why_not_there(Pfn(pfn));
                found.left_out += u64::from(matches!(fault, Some(PageFault::Excluded(_))));
            }
        }
        found
    }

    fn order(&self, chunk: &Chunk<'_>, index: usize, record: &[u8]) -> u32 {
        if self.page.flags.get(record) & self.head_mask == 0 {
            return 0;
        }
        let after = self.order_at.checked_sub(record.len());
        let order = after.and_then(|after| chunk.get(index + 1)?.get(after).copied());
        let order = order.map_or(0, u32::from);
        if order <= MAX_PAGE_ORDER { order } else { 0 }
    }
}
