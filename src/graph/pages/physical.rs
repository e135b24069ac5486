//! Pages that only a physical address means: in the tables of devices and of guests, and in rings.
//!
//! Page tables of processes and of the kernel keep nothing: the kernel's map all of memory. Looked
//! for only where so much is pointed to by nothing else that it would be said.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::super::search::Search;
use super::super::words::words;
use super::watch::PageWatch;
use crate::addr::Pfn;
use crate::kernel::page_kinds::PageKind;

/// Fewer pages than that are no finding.
const WORTH_IT: u64 = 64;
/// Pages taken at a time.
const BATCH: usize = 1024;
/// Entries of tables have marks in their low and in their highest bits, for processors and for
/// devices alike.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Takes those out of `lost` that a word of the kernel's own pages means, but for their own words;
/// gives their numbers. `is_table` tells blocks of page tables.
pub(super) fn take(
    search: &Search<'_>,
    watch: &PageWatch,
    lost: &mut Vec<u32>,
    is_table: impl Fn(u32) -> bool + Sync,
) -> Vec<u32> {
    let pages = |number: &u32| {
        let block = watch.blocks.all.get(*number as usize);
        block.map_or(0, |block| u64::from(block.pages))
    };
    if lost.iter().map(pages).sum::<u64>() < WORTH_IT {
        return Vec::new();
    }
    // Numbers of blocks rise with their addresses.
    let met: Vec<AtomicBool> = lost.iter().map(|_| AtomicBool::new(false)).collect();
    let (kinds, dump) = (&search.kinds, search.kernel.dump());
    let sections: Vec<(Pfn, usize)> = kinds.index().sections().collect();
    let per_section = kinds.index().section_pages().div_ceil(BATCH);
    let shift = dump.page_shift();
    (0..sections.len() * per_section)
        .into_par_iter()
        .for_each_init(Vec::new, |page, batch| {
            let Some((start, number)) = sections.get(batch / per_section) else {
                return;
            };
            let first = batch % per_section * BATCH;
            page.resize(dump.page_size(), 0);
            for at in first..first + BATCH {
                let kind = kinds.at(number + at);
                let holds = matches!(
                    kind,
                    PageKind::Kernel | PageKind::LargeKmalloc | PageKind::Vmalloc
                );
                let pfn = Pfn(start.0 + at as u64);
                let own = watch.blocks.at(pfn);
                let table = own.is_some_and(&is_table);
                if !holds || table || dump.read_page(pfn, page).is_err() {
                    continue;
                }
                for word in words(page).filter(|word| *word != 0) {
                    let Some(number) = watch.blocks.at(Pfn((word & ADDRESS) >> shift)) else {
                        continue;
                    };
                    if own == Some(number) {
                        continue;
                    }
                    if let Ok(place) = lost.binary_search(&number)
                        && let Some(met) = met.get(place)
                    {
                        met.store(true, Ordering::Relaxed);
                    }
                }
            }
        });
    let mut taken = Vec::new();
    let mut met = met.iter();
    lost.retain(|number| {
        let met = met.next().is_some_and(|met| met.load(Ordering::Relaxed));
        if met {
            taken.push(*number);
        }
        !met
    });
    taken
}
