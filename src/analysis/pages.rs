//! All of RAM in lines that do not overlap: whose pages are, by what they say and who has them.

mod rows;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::rows::{Row, RowOwner, rows};

use super::memory::owner_name;
use crate::graph::{PagesFacts, ZonePages};
use crate::kernel::page_kinds::PageKind;

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// For programs: `anon`, `slab`, `socket_buffers`.
    pub code: String,
    /// For people.
    pub name: String,
    /// How many pages.
    pub pages: u64,
}

/// Lines of one nature, for who wants few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Memory of processes.
    Processes,
    /// Page cache, tmpfs and shared memory.
    Files,
    /// Slab caches.
    Slab,
    /// What else the kernel took while it ran.
    Kernel,
    /// Kernel pages that nothing points to.
    Lost,
    /// What was set apart, most of it at boot.
    SetApart,
    /// Pages of which nothing is known.
    Unknown,
    /// Free.
    Free,
}

impl Group {
    /// Of a line, or of a part of memory, by its code.
    pub fn of(code: &str) -> Self {
        match code {
            "free" | "free_on_cpus" => Self::Free,
            "anon" | "user" => Self::Processes,
            "page_cache" | "shmem" => Self::Files,
            "slab" => Self::Slab,
            "kernel_lost" => Self::Lost,
            "kernel_image" | "crash_kernel" | "boot" | "memmap" | "hugetlb" | "offline"
            | "corrupted" => Self::SetApart,
            "unknown" => Self::Unknown,
            _ => Self::Kernel,
        }
    }

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Files => "files and shared memory",
            Self::Slab => "slab caches of the kernel",
            Self::Kernel => "other memory of the kernel",
            Self::Lost => "kernel memory that nothing points to",
            Self::SetApart => "set apart at boot or for special use",
            Self::Unknown => "unknown",
            Self::Free => "free",
        }
    }
}

/// RAM by owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Most pages first; none is part of another.
    pub lines: Vec<Line>,
    /// What all lines add up to.
    pub pages: u64,
    /// All of RAM; `None` if that is not known.
    pub ram_pages: Option<u64>,
    /// Pages of the kernel without a known owner or a pointer to them.
    pub unexplained_pages: u64,
}

/// Sums up.
pub fn ledger(facts: &PagesFacts) -> Ledger {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let mut add = |code: &str, name: &str, pages: u64| {
        let line = lines.entry(code.to_owned()).or_insert_with(|| Line {
            code: code.to_owned(),
            name: name.to_owned(),
            pages: 0,
        });
        line.pages += pages;
    };
    for (kind, pages) in &facts.ram.kinds {
        if let Some((code, name)) = named(*kind) {
            add(code, name, *pages);
        }
    }
    for owned in &facts.owned {
        let kind = owned.owner.kind;
        add(kind, owner_name(kind), owned.pages);
    }
    let pointed = facts.pointed_to.iter().map(|one| one.pages).sum();
    add(
        "kernel_pointed_to",
        "other kernel pages that something points to",
        pointed,
    );
    let lost = facts.lost.iter().map(|one| one.pages).sum::<u64>();
    add("kernel_lost", "kernel pages that nothing points to", lost);
    let rest = facts.behind_others + facts.not_counted;
    add(
        "kernel_rest",
        "kernel pages behind others or in transit",
        rest,
    );
    let ram = &facts.ram;
    add("kernel_image", "the kernel's code and data", ram.image);
    add(
        "crash_kernel",
        "set apart for the capture kernel",
        ram.crash_kernel,
    );
    add("boot", "reserved at boot", ram.boot);
    add("unknown", "page structure missing or none", ram.unknown);
    let mut lines: Vec<Line> = lines.into_values().filter(|line| line.pages > 0).collect();
    lines.sort_by(|a, b| (b.pages, &a.code).cmp(&(a.pages, &b.code)));
    Ledger {
        pages: lines.iter().map(|line| line.pages).sum(),
        lines,
        ram_pages: ram.pages,
        unexplained_pages: lost + rest,
    }
}

/// RAM of one zone, or of all zones of a node, by owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneLedger {
    /// The number of the node; `None` of RAM that is of no zone.
    pub node: Option<u64>,
    /// The zone; `None` of a whole node.
    pub zone: Option<String>,
    /// Most pages first; none is part of another.
    pub lines: Vec<Line>,
    /// What all lines add up to.
    pub pages: u64,
}

/// The same ledger zone by zone. What was reserved at boot, the kernel's image too, is one line.
pub fn by_zone(zones: &[ZonePages]) -> Vec<ZoneLedger> {
    zones.iter().map(|zone| of_zones(&[zone])).collect()
}

/// And node by node.
pub fn by_node(zones: &[ZonePages]) -> Vec<ZoneLedger> {
    let mut nodes: BTreeMap<Option<u64>, Vec<&ZonePages>> = BTreeMap::new();
    for zone in zones {
        nodes.entry(zone.node).or_default().push(zone);
    }
    let nodes = nodes.into_values();
    nodes
        .map(|zones| ZoneLedger {
            zone: None,
            ..of_zones(&zones)
        })
        .collect()
}

fn of_zones(zones: &[&ZonePages]) -> ZoneLedger {
    let mut lines: BTreeMap<&str, Line> = BTreeMap::new();
    let mut add = |code: &'static str, name: &str, pages: u64| {
        let line = lines.entry(code).or_insert_with(|| Line {
            code: code.to_owned(),
            name: name.to_owned(),
            pages: 0,
        });
        line.pages += pages;
    };
    for zone in zones {
        for (kind, pages) in &zone.kinds {
            match (named(*kind), kind) {
                (Some((code, name)), _) => add(code, name, *pages),
                // By owner, below.
                (None, PageKind::Kernel | PageKind::LargeKmalloc) => {}
                (None, PageKind::Unknown) => {
                    add("unknown", "page structure missing or none", *pages);
                }
                (None, _) => add("reserved", "the kernel's image, reserved at boot", *pages),
            }
        }
        for (code, pages) in &zone.own {
            let name = match *code {
                "kernel_pointed_to" => "other kernel pages that something points to",
                "kernel_lost" => "kernel pages that nothing points to",
                "kernel_rest" => "kernel pages behind others or in transit",
                code => owner_name(code),
            };
            add(code, name, *pages);
        }
    }
    let first = zones.first();
    let mut lines: Vec<Line> = lines.into_values().filter(|line| line.pages > 0).collect();
    lines.sort_by(|a, b| (b.pages, &a.code).cmp(&(a.pages, &b.code)));
    ZoneLedger {
        node: first.and_then(|zone| zone.node),
        zone: first.map(|zone| zone.zone.clone()),
        pages: lines.iter().map(|line| line.pages).sum(),
        lines,
    }
}

/// Kinds that are a line by themselves: not those of the kernel's own pages, which have owners.
fn named(kind: PageKind) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        PageKind::Free => ("free", "free"),
        PageKind::CpuFree => ("free_on_cpus", "free, kept by CPUs"),
        PageKind::Slab => ("slab", "slab caches (vmleak slabs)"),
        PageKind::User => ("anon", "memory of processes (vmleak ps)"),
        PageKind::Cache => ("page_cache", "page cache (vmleak files)"),
        PageKind::Shmem => ("shmem", "tmpfs and shared memory (vmleak files)"),
        PageKind::Table => ("page_tables", "page tables"),
        PageKind::Zsmalloc => ("zsmalloc", "compressed memory (zram, zswap)"),
        PageKind::Huge => ("hugetlb", "set apart for huge pages"),
        PageKind::Offline => ("offline", "given back to the host"),
        PageKind::Poisoned => ("corrupted", "taken out of use as broken"),
        PageKind::Memmap | PageKind::BootMemmap => ("memmap", "page structures"),
        PageKind::Stack => ("kernel_stacks", "kernel stacks"),
        PageKind::Vmalloc => ("vmalloc", "areas of vmalloc"),
        PageKind::Kernel | PageKind::LargeKmalloc => return None,
        PageKind::Reserved | PageKind::Code | PageKind::Unknown => return None,
    })
}
