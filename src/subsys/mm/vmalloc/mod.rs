//! The areas of vmalloc: what the kernel maps page by page (mm/vmalloc.c).
//!
//! Layer: subsys. Input: the areas' lists. Output: [`VmallocFacts`], each area with the
//! function that asked for it and its pages, in the order of /proc/vmallocinfo. Invariants:
//! a broken list costs what is behind the break, and a warning says so; an area that can't be
//! read costs itself.

mod lists;
mod numa;
mod records;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

pub(crate) use self::records::Records;
pub use crate::kernel::pointers::Pointers;

use self::lists::Areas;
use self::numa::PageNodes;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::literals;
use crate::kernel::page::MAX_FOLIO_ORDER;
use crate::kernel::symbolize::{Symbolized, Symbolizer};
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/vmalloc.h
    struct AreaLayout = "vmap_area" in "mm/vmalloc.c" {
        need start = "va_start",
        need end = "va_end",
        need list = "list",
        need vm = "vm",
        /// Up to 5.1, and of another meaning since 6.3.
        maybe flags = "flags",
        /// Up to 5.10.
        maybe purge = "purge_list",
    }
}

layout! {
    /// include/linux/vmalloc.h
    struct VmLayout = "vm_struct" in "mm/vmalloc.c" {
        need addr = "addr",
        need size = "size",
        need flags = "flags",
        need pages = "pages",
        need nr_pages = "nr_pages",
        need phys = "phys_addr",
        need caller = "caller",
        /// With CONFIG_HAVE_ARCH_HUGE_VMALLOC (5.13 and later).
        maybe page_order = "page_order",
    }
}

/// VM_* (include/linux/vmalloc.h), in the order of /proc/vmallocinfo.
const FLAGS: [(u64, &str); 6] = [
    (1 << 0, "ioremap"),
    // 6.9 and later (commit e6f798225a31); before, the bit was free.
    (1 << 12, "sparse"),
    (1 << 1, "vmalloc"),
    (1 << 2, "vmap"),
    (1 << 3, "user"),
    (1 << 4, "dma-coherent"),
];
const UNINITIALIZED: u64 = 1 << 5;
/// `vmap_area.flags` since 6.3 (commit 869176a09606).
const VMAP_RAM: u64 = 1 << 0;
/// `vmap_area.flags` up to 5.1: freed. The second bit had company up to 4.6, and is alone since.
const LAZY: u64 = 0b11;
/// In `vm_struct.flags` it meant that the table of pages is in vmalloc, up to 5.1.
const DMA_COHERENT: u64 = 1 << 4;
const VM_VM_AREA: u64 = 1 << 2;

/// What an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AreaKind {
    /// Made by vmalloc(), vmap(), ioremap() and their like: it has a `vm_struct`.
    Vm,
    /// Made by vm_map_ram().
    VmMapRam,
    /// Freed, but its mapping is not taken away yet.
    Unpurged,
}

/// One area.
#[derive(Clone, Debug, Serialize)]
pub struct VmallocArea {
    /// First address.
    pub start: VirtAddr,
    /// One past the last address, the guard page included.
    pub end: VirtAddr,
    /// What it is.
    pub kind: AreaKind,
    /// Who asked for it.
    pub caller_address: Option<VirtAddr>,
    /// Its name, as the kernel prints it.
    pub caller: Option<Symbolized>,
    /// Pages of memory that it holds; those of ioremap and vmap belong to others.
    pub pages: u64,
    /// The physical address that it maps, if it is one block.
    pub phys: Option<crate::addr::PhysAddr>,
    /// `vmalloc`, `vmap`, `ioremap`, ….
    pub flags: Vec<&'static str>,
    /// Whether the table of its pages is in vmalloc too.
    pub vpages: bool,
    /// Pages by NUMA node; `None` if they can't be counted.
    pub nodes: Option<BTreeMap<u32, u64>>,
    /// Address of its `vm_struct`.
    pub vm_struct: Option<VirtAddr>,
    /// Address of its `vmap_area`.
    pub vmap_area: VirtAddr,
}

impl VmallocArea {
    /// Bytes of addresses that it takes.
    pub fn bytes(&self) -> u64 {
        self.end.offset_from(self.start).unwrap_or(0)
    }
}

/// All areas.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VmallocFacts {
    /// In the order of /proc/vmallocinfo: those in use, then the unpurged.
    pub areas: Vec<VmallocArea>,
    /// How this kernel prints pointers; `None` if the dump does not tell.
    pub pointers: Option<Pointers>,
    /// Which of them /proc/vmallocinfo leaves out.
    pub unprinted: Vec<AreaKind>,
    /// Whether all of them could be read.
    pub all_read: bool,
    /// Whether, besides, all could be named and counted.
    pub complete: bool,
}

/// Reads the areas.
///
/// # Errors
/// If the kernel's types or symbols don't describe them.
pub fn collect(kernel: &Kernel, names: &Symbolizer<'_>) -> Result<VmallocFacts, KernelError> {
    let reader = AreaReader {
        kernel,
        names,
        area: kernel.layout()?,
        vm: kernel.layout()?,
        nodes: PageNodes::new(kernel),
        // Free areas have a tree of their own since 5.2 (commit 68ad4a330433).
        old_flags: kernel.symbol("free_vmap_area_root").is_none(),
        range: kernel.vmalloc_range(),
    };
    let found = Areas::find(kernel, &reader.area)?;
    let mut complete = true;
    for end in &found.broken {
        complete = false;
        kernel.diag.warn(
            "vmalloc-list-damaged",
            format!("a list of vmalloc areas {}: those behind are missing; the kernel's own memory is damaged or missing there, a second dump may have it", end.describe()),
        );
    }
    let mut areas = Vec::with_capacity(found.busy.len() + found.lazy.len());
    for (at, lazy) in found
        .busy
        .iter()
        .map(|at| (*at, false))
        .chain(found.lazy.iter().map(|at| (*at, true)))
    {
        match reader.read(at, lazy) {
            Ok(area) => areas.extend(area),
            Err(fault) => {
                complete = false;
                kernel.diag.warn(
                    "vmalloc-area-unreadable",
                    format!("a vmalloc area can't be read ({fault}): it is left out; take the dump with kernel pages included"),
                );
            }
        }
    }
    let all_read = complete;
    complete &= names.is_complete();
    let uncounted = areas.iter().filter(|area| area.nodes.is_none()).count();
    if uncounted > 0 {
        complete = false;
        kernel.diag.warn_many(
            "vmalloc-pages-unreadable",
            "the pages of a vmalloc area can't be read: on which NUMA nodes they lie is unknown; take the dump with kernel pages included",
            uncounted as u64,
        );
    }
    Ok(VmallocFacts {
        areas,
        pointers: Pointers::restricted(kernel),
        unprinted: unprinted(kernel, reader.old_flags),
        all_read,
        complete,
    })
}

/// Freed areas are printed since 4.12, those of vm_map_ram() were not from 3.13 to then (commits
/// 78c72746f56b, d4033afdf828): the file's texts tell.
fn unprinted(kernel: &Kernel, old: bool) -> Vec<AreaKind> {
    if !old {
        return Vec::new();
    }
    let texts = literals::find(kernel, ["unpurged vm_area", "vm_map_ram\n", "pages=%d"]);
    let [unpurged, map_ram, always] = texts.map(|text| text.is_there());
    let kinds = match (always, unpurged, map_ram) {
        (Some(true), Some(false), Some(true)) => &[AreaKind::Unpurged][..],
        (Some(true), Some(false), Some(false)) => &[AreaKind::Unpurged, AreaKind::VmMapRam],
        _ => &[],
    };
    kinds.to_vec()
}

struct AreaReader<'k> {
    kernel: &'k Kernel,
    names: &'k Symbolizer<'k>,
    area: AreaLayout,
    vm: VmLayout,
    nodes: PageNodes<'k>,
    old_flags: bool,
    range: Option<Range<VirtAddr>>,
}

impl AreaReader<'_> {
    /// `None` for an area that is being taken down, which the kernel passes over too.
    fn read(
        &self,
        at: VirtAddr,
        lazy: bool,
    ) -> Result<Option<VmallocArea>, crate::space::MemFault> {
        let record = self.kernel.space.read_bytes(at, self.area.len)?;
        let vm = VirtAddr(self.area.vm.get(&record));
        let flags = self.area.flags.map(|field| field.get(&record));
        let kind = match (lazy, flags) {
            (true, _) => AreaKind::Unpurged,
            (_, Some(flags)) if self.old_flags && flags & VM_VM_AREA == 0 => match flags & LAZY {
                0 => AreaKind::VmMapRam,
                _ => AreaKind::Unpurged,
            },
            _ if !vm.is_null() => AreaKind::Vm,
            (_, Some(flags)) if flags & VMAP_RAM == 0 => return Ok(None),
            _ => AreaKind::VmMapRam,
        };
        let plain = VmallocArea {
            start: VirtAddr(self.area.start.get(&record)),
            end: VirtAddr(self.area.end.get(&record)),
            kind,
            caller_address: None,
            caller: None,
            pages: 0,
            phys: None,
            flags: Vec::new(),
            vpages: false,
            nodes: Some(BTreeMap::new()),
            vm_struct: None,
            vmap_area: at,
        };
        match kind {
            AreaKind::Vm => self.with_vm(plain, vm).map(Some),
            _ => Ok(Some(plain)),
        }
    }

    fn with_vm(
        &self,
        plain: VmallocArea,
        at: VirtAddr,
    ) -> Result<VmallocArea, crate::space::MemFault> {
        let vm = &self.vm;
        let record = self.kernel.space.read_bytes(at, vm.len)?;
        let start = VirtAddr(vm.addr.get(&record));
        let flags = vm.flags.get(&record);
        let caller = Some(VirtAddr(vm.caller.get(&record))).filter(|caller| !caller.is_null());
        let pages = VirtAddr(vm.pages.get(&record));
        let end = start.plus(vm.size.get(&record));
        let page_size = self.kernel.dump().page_size() as u64;
        // More pages than addresses make no sense.
        let count = vm.nr_pages.get(&record);
        let most = plain.bytes() / page_size + 1;
        let order = vm.page_order.map_or(0, |field| field.get(&record));
        let nodes = match flags & UNINITIALIZED {
            0 if count <= most => {
                self.nodes
                    .count(pages, count, 1 << order.min(MAX_FOLIO_ORDER.into()))
            }
            0 => None,
            // Being filled: not counted.
            _ => Some(BTreeMap::new()),
        };
        Ok(VmallocArea {
            start,
            end,
            caller: caller.and_then(|caller| self.names.find(caller)),
            caller_address: caller,
            pages: count,
            phys: Some(crate::addr::PhysAddr(vm.phys.get(&record))).filter(|at| at.0 != 0),
            flags: FLAGS
                .iter()
                .filter(|(bit, _)| flags & bit != 0 && !(self.old_flags && *bit == DMA_COHERENT))
                .map(|(_, name)| *name)
                .collect(),
            vpages: self
                .range
                .as_ref()
                .is_some_and(|range| range.contains(&pages)),
            nodes,
            vm_struct: Some(at),
            ..plain
        })
    }
}
