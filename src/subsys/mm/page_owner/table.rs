//! Pages by the handle of the stack that allocated them.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::PageOwnerLayout;
use crate::addr::VirtAddr;
use crate::kernel::page::MAX_FOLIO_ORDER;
use crate::kernel::page_ext::{Entries, PageExt, PageExtLayout};
use crate::kernel::{Kernel, KernelError};

/// Names of tasks kept for each stack.
const TASKS: usize = 5;

/// By handle.
pub(super) type Table = FxHashMap<u32, Counts>;

/// What is known of the pages of one handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) pages: u64,
    pub(super) allocations: u64,
    pub(super) gfp: BTreeMap<u32, u64>,
    pub(super) nanoseconds: Option<(u64, u64)>,
    pub(super) tasks: BTreeSet<String>,
}

/// Reads the page owner's part of entries.
#[derive(Debug)]
pub(super) struct OwnerReader {
    layout: PageOwnerLayout,
    flags: PageExtLayout,
    /// Bits of an entry's flags that must be set: it has an owner, and is not free.
    owned: u64,
    offset: usize,
}

impl OwnerReader {
    /// `None` if entries have no room for an owner.
    pub(super) fn new(
        kernel: &Kernel,
        ext: &PageExt<'_>,
        operations: VirtAddr,
    ) -> Result<Option<Self>, KernelError> {
        let bit = |name| {
            let bit = kernel
                .types
                .enumerator("page_ext_flags", "mm/page_ext.c", name)?;
            let bit = bit.filter(|bit| (0..64).contains(bit));
            Ok::<u64, KernelError>(bit.map_or(0, |bit| 1 << bit))
        };
        let layout: PageOwnerLayout = kernel.layout()?;
        let Some(offset) = ext.offset_of(operations)? else {
            return Ok(None);
        };
        let fits = offset + layout.struct_size <= ext.entry_size();
        // Before 5.4 there is no second bit, and a page's record goes when it is freed.
        let owned = bit("PAGE_EXT_OWNER")? | bit("PAGE_EXT_OWNER_ALLOCATED")?;
        Ok(fits.then_some(Self {
            flags: kernel.layout()?,
            layout,
            owned,
            offset,
        }))
    }

    /// Adds the pages that are in use. All pages of an allocation have the same record.
    pub(super) fn add(&self, sum: &mut Table, entries: &Entries<'_>) {
        for (pfn, entry) in entries.iter() {
            if self.flags.flags.get(entry) & self.owned != self.owned || self.owned == 0 {
                continue;
            }
            let record = entry.get(self.offset..).unwrap_or_default();
            let order = self.layout.order.get(record);
            let handle = self.layout.handle.get(record) as u32;
            if handle == 0 || order > MAX_FOLIO_ORDER.into() || !pfn.0.is_multiple_of(1 << order) {
                continue;
            }
            sum.entry(handle).or_default().add(&self.layout, record);
        }
    }
}

impl Counts {
    fn add(&mut self, layout: &PageOwnerLayout, record: &[u8]) {
        let pages = 1 << layout.order.get(record);
        self.pages += pages;
        self.allocations += 1;
        *self
            .gfp
            .entry(layout.gfp_mask.get(record) as u32)
            .or_default() += pages;
        if let Some(time) = layout.ts_nsec.map(|field| field.get(record)) {
            let (first, last) = self.nanoseconds.unwrap_or((time, time));
            self.nanoseconds = Some((first.min(time), last.max(time)));
        }
        if let Some(comm) = layout.comm
            && self.tasks.len() < TASKS
        {
            let (at, len) = (comm.offset as usize, comm.size as usize);
            let text = record.get(at..at + len).unwrap_or_default();
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            self.tasks
                .insert(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn merge(&mut self, other: Self) {
        self.pages += other.pages;
        self.allocations += other.allocations;
        for (mask, pages) in other.gfp {
            *self.gfp.entry(mask).or_default() += pages;
        }
        self.nanoseconds = match (self.nanoseconds, other.nanoseconds) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        self.tasks.extend(other.tasks);
        while self.tasks.len() > TASKS {
            self.tasks.pop_last();
        }
    }
}

pub(super) fn merge(mut one: Table, other: Table) -> Table {
    for (handle, counts) in other {
        one.entry(handle).or_default().merge(counts);
    }
    one
}
