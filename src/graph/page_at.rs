//! What one page is, and whose: by its structure, by what it is part of, by who claims or means it.

use serde::Serialize;

use super::pages::PageFound;
use super::search::Search;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::kernel::layout::layout;
use crate::kernel::page::{self, TailMark};
use crate::kernel::page_kinds::PageKind;
use crate::kernel::page_zone::ZoneMap;
use crate::subsys::fs::FileNames;
use crate::subsys::owners::Owner;

layout! {
    /// include/linux/mm_types.h
    struct PageLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need mapping = "mapping",
        need index = "index" | "__folio_index",
        /// `_count` up to 4.5 (commit 0139aa7b7fa1).
        need refcount = "_refcount.counter" | "_refcount" | "_count.counter",
    }
}

layout! {
    /// include/linux/sched.h
    struct TaskStackLayout = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need comm = "comm",
        need stack = "stack",
    }
}

/// Pages of one block at most that are tails of a file's.
const MAX_TAIL: u64 = 1 << 20;

/// Who has a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageOwner {
    /// Who.
    #[serde(flatten)]
    pub owner: Owner,
    /// The file that it is of.
    pub path: Option<String>,
    /// How that is known: `structure` (that which holds it), `reference` (something points to it,
    /// which `name` tells), `mapping` (of its file), `mark` (of its own structure).
    pub how: &'static str,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PageAt {
    /// Its number.
    pub pfn: u64,
    /// Where it lies.
    pub physical: PhysAddr,
    /// Where its structure lies; `None` if it has none.
    pub structure: Option<VirtAddr>,
    /// The number of its node, where it is of a zone.
    pub node: Option<u64>,
    /// Its zone.
    pub zone: Option<String>,
    /// How many references to it there are.
    pub references: Option<u64>,
    /// First page and number of pages of what was taken with it: of the kernel's own pages.
    pub block: Option<(u64, u64)>,
    /// Who has it; `None` if it is free, or if that is not known.
    pub owner: Option<PageOwner>,
    /// Whether it is the kernel's own, in use, and no word means it, nor a page that it may have been
    /// split from; false where the search can't be believed.
    pub lost: bool,
}

impl PageAt {
    /// `own` is what was found of a page of the kernel's own.
    pub(super) fn read(search: &Search<'_>, pfn: Pfn, own: Option<PageFound>) -> Self {
        let kernel = search.kernel;
        let zones = ZoneMap::read(kernel, &search.memmap).ok();
        let zone = zones.as_ref();
        let zone = zone.and_then(|zones| zones.of(kernel, &search.memmap, pfn));
        let structure = search.memmap.page_address(pfn);
        let layout: Option<PageLayout> = kernel.layout().ok();
        let record = layout.as_ref().zip(structure);
        let record = record.and_then(|(layout, at)| kernel.space.read_bytes(at, layout.len).ok());
        let references = layout.as_ref().zip(record.as_ref());
        let references = references.map(|(layout, record)| layout.refcount.get(record));
        let lost = own.as_ref().is_some_and(|own| own.lost);
        let block = own.as_ref().map(|own| own.block);
        let owner = match own.and_then(|own| own.owner) {
            Some(owner) => Some(owner),
            None => by_kind(search, pfn, layout.as_ref()),
        };
        Self {
            pfn: pfn.0,
            physical: pfn.start(kernel.dump().page_shift()),
            structure,
            node: zone.map(|zone| zone.node as u64),
            zone: zone.map(|zone| zone.name.clone()),
            references,
            block,
            owner,
            lost,
        }
    }
}

/// Of pages that are not the kernel's own, and of parts of areas and stacks.
fn by_kind(search: &Search<'_>, pfn: Pfn, layout: Option<&PageLayout>) -> Option<PageOwner> {
    let marked = |kind: &'static str, name: String| PageOwner {
        owner: Owner::of_kernel(kind, name),
        path: None,
        how: "mark",
    };
    match search.kinds.get(pfn) {
        PageKind::Slab => {
            let phys = pfn.start(search.kernel.dump().page_shift());
            let at = search.kernel.space.direct_map_address(phys);
            let page = search.kernel.dump().page_size() as u64;
            let objects = (0..page / 8).find_map(|word| search.targets.object(at.0 + word * 8));
            let cache = search.heap.caches().get(objects?.1 as usize)?;
            Some(marked("slab", cache.name.clone()))
        }
        PageKind::Cache | PageKind::Shmem => of_file(search, pfn, layout?),
        PageKind::Stack => of_task(search, pfn),
        PageKind::Vmalloc => {
            let number = search.areas.of_page(pfn)?;
            let mut areas = search.areas.holders();
            let (_, area) = areas.find(|(one, _)| *one == number)?;
            let caller = area.caller.as_ref().map(|caller| caller.symbol());
            let name = format!("{} of {}", area.start, caller.as_deref().unwrap_or("?"));
            Some(marked("vmalloc", name))
        }
        _ => None,
    }
}

/// By the mapping of its head.
fn of_file(search: &Search<'_>, pfn: Pfn, layout: &PageLayout) -> Option<PageOwner> {
    let space = &search.kernel.space;
    let marks: page::PageLayout = search.kernel.layout().ok()?;
    let tails = TailMark::find(search.kernel).ok()?;
    let mut head = pfn;
    // What follows a head has its bit set; heads lie at multiples of their size.
    let record = loop {
        let at = search.memmap.page_address(head)?;
        let record = space.read_bytes(at, layout.struct_size).ok()?;
        if !tails.holds(&marks, &record) {
            break record;
        }
        let lowest = head.0 & head.0.wrapping_neg();
        head = Pfn(head.0.checked_sub(lowest)?);
        if pfn.0 - head.0 > MAX_TAIL {
            return None;
        }
    };
    let mapping = VirtAddr(layout.mapping.get(&record) & !3);
    let file = FileNames::new(search.kernel).ok()?.of_mapping(mapping)?;
    let index = layout.index.get(&record) + (pfn.0 - head.0);
    Some(PageOwner {
        owner: Owner::of_kernel("file", format!("page {index} of inode {}", file.inode)),
        path: file.path,
        how: "mapping",
    })
}

fn of_task(search: &Search<'_>, pfn: Pfn) -> Option<PageOwner> {
    let kernel = search.kernel;
    let page = kernel.dump().page_size() as u64;
    let shift = kernel.dump().page_shift();
    let holds = |at: VirtAddr| {
        let mapping = kernel.space.quiet().translate(at);
        mapping.is_ok_and(|mapping| Pfn::containing(mapping.phys, shift) == pfn)
    };
    let mut stacks = search.stacks.stacks.iter();
    let stack = stacks.find(|stack| {
        let pages = stack.end.offset_from(stack.start).unwrap_or(0) / page;
        (0..pages).any(|number| holds(stack.start.plus(number * page)))
    })?;
    let layout: TaskStackLayout = kernel.layout().ok()?;
    let mut tasks = search.stacks.tasks.iter();
    let record = tasks.find_map(|task| {
        let record = kernel.space.read_bytes(*task, layout.len).ok()?;
        let own = VirtAddr(layout.stack.get(&record));
        (stack.start <= own && own < stack.end).then_some(record)
    })?;
    let at = layout.comm.offset as usize;
    let comm = record.get(at..at + layout.comm.size as usize);
    Some(PageOwner {
        owner: Owner {
            kind: "kernel_stack",
            name: String::new(),
            pid: Some(layout.pid.get(&record) as u32),
            comm: comm.map(crate::bytes::c_string),
        },
        path: None,
        how: "structure",
    })
}
