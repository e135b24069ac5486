//! Pictures of memory: who had it, which caches, zones and processes, and who keeps what.

use super::{Area, Bars, Branch, Columns, Drawing, Figure, ROWS, Row, Unit, Zone, figure};
use crate::analysis::memory::Memory;
use crate::analysis::pages::Group;
use crate::graph::AgeField;
use crate::graph::alive::{self, RetainedFacts};
use crate::report::leaks::LeaksReport;
use crate::report::pages::PagesReport;
use crate::report::ps::PsReport;
use crate::subsys::mm::zones::{NodeFacts, ZoneFacts};

/// Histograms of ages: of so many caches.
const AGED: usize = 4;
/// Owners of the retained that have a box of their own, and groups in each.
const OWNERS: usize = 14;
const GROUPS: usize = 4;

/// All of RAM.
pub fn ledger(report: &PagesReport) -> Figure {
    let lines = report.ledger.lines.iter().map(|line| Area {
        code: line.code.clone(),
        name: without_command(&line.name).to_owned(),
        group: Group::of(&line.code),
        bytes: line.pages.saturating_mul(report.page_bytes),
    });
    let note = "Each box is as large as its share of RAM; what is of one nature has one colour.";
    let areas = Drawing::Treemap(lines.collect());
    figure("ledger", "All of RAM, by who had it", note, areas)
}

/// The same of a kernel that runs.
pub fn memory(memory: &Memory) -> Figure {
    let parts = memory.parts.iter().map(|part| Area {
        code: part.code.to_owned(),
        name: part.name.to_owned(),
        group: Group::of(part.code),
        bytes: part.bytes,
    });
    let note = "Each box is as large as its share of what the kernel counts.";
    let areas = Drawing::Treemap(parts.collect());
    figure("ledger", "Memory by what it was used for", note, areas)
}

/// Lines of the ledger name the command that tells more.
fn without_command(name: &str) -> &str {
    name.split_once(" (vmleak").map_or(name, |(name, _)| name)
}

/// The largest caches, and the ages of what is lost.
pub fn leaks(report: &LeaksReport) -> Vec<Figure> {
    let mut figures: Vec<Figure> = slabs(report).into_iter().collect();
    let lost = report.caches.iter().filter_map(|cache| {
        let unreachable = &cache.judgement.unreachable;
        Some((&cache.facts.name, unreachable.ages.first()?))
    });
    for (number, (name, field)) in lost.take(AGED).enumerate() {
        figures.push(ages(number, name, field));
    }
    figures
}

fn slabs(report: &LeaksReport) -> Option<Figure> {
    let mut caches: Vec<_> = report.caches.iter().map(|cache| &cache.facts).collect();
    caches.sort_by_key(|cache| std::cmp::Reverse(cache.exact.bytes));
    caches.retain(|cache| cache.exact.bytes > 0);
    let rows = caches.iter().take(ROWS).map(|cache| {
        let used = cache.exact.allocated_bytes.min(cache.exact.bytes);
        Row {
            name: cache.name.clone(),
            detail: None,
            values: vec![used, cache.exact.bytes - used],
        }
    });
    let bars = Bars {
        unit: Unit::Bytes,
        pieces: vec!["in use", "free in the slabs"],
        whole: None,
        rows: rows.collect(),
        more: caches.len().saturating_sub(ROWS),
    };
    let note = "Where objects of the kernel lie, those of one kind together.";
    let drawing = Drawing::Bars(bars);
    (!caches.is_empty()).then(|| figure("caches", "Largest slab caches", note, drawing))
}

fn ages(number: usize, cache: &str, field: &AgeField) -> Figure {
    let classes = field.histogram.iter().enumerate();
    let classes = classes.map(|(tenth, count)| (format!("{}", tenth + 1), *count));
    let drawing = Drawing::Columns(Columns {
        of: "objects",
        classes: classes.collect(),
        ends: Some(("boot", "crash")),
    });
    let note = "Objects made in each tenth of the time from boot to crash: a leak that goes on shows in all, a burst in one.";
    let title = format!("When the lost objects of {cache} were made");
    figure(&format!("ages-{number}"), title, note, drawing)
}

/// Processes with the most memory.
pub fn processes(report: &PsReport) -> Option<Figure> {
    let all = report.processes.iter();
    let with = all.filter_map(|process| Some((process, process.memory.as_ref()?)));
    let with: Vec<_> = with.collect();
    let rows = with.iter().take(ROWS).map(|(process, memory)| Row {
        name: format!("{} ({})", process.comm, process.pid),
        detail: None,
        values: vec![
            memory.rss_anon_bytes,
            memory.rss_shmem_bytes,
            memory.rss_file_bytes,
            memory.swap_bytes,
        ],
    });
    let bars = Bars {
        unit: Unit::Bytes,
        pieces: vec!["anonymous", "shared", "files", "swapped out"],
        whole: None,
        rows: rows.collect(),
        more: with.len().saturating_sub(ROWS),
    };
    let note =
        "Name and pid. Pages of files and shared memory count for each process that has them.";
    let drawing = Drawing::Bars(bars);
    let is_any = !with.is_empty();
    is_any.then(|| figure("processes", "Processes with the most memory", note, drawing))
}

/// Zones that have memory.
pub fn zones(nodes: &[NodeFacts], page_bytes: u64) -> Option<Figure> {
    let bytes = |pages: u64| pages.saturating_mul(page_bytes);
    let of = |zone: &ZoneFacts| {
        let mark = |index| zone.watermarks.get(index).copied().map_or(0, bytes);
        Zone {
            name: format!("node {} {}", zone.node, zone.name),
            free: bytes(zone.free),
            managed: bytes(zone.managed),
            marks: [mark(0), mark(1), mark(2)],
        }
    };
    let zones = nodes.iter().flat_map(|node| &node.zones);
    let zones: Vec<Zone> = zones.filter(|zone| zone.managed > 0).map(of).collect();
    let note = "Free memory against the watermarks: below low the kernel begins to reclaim, below min who asks has to wait for it.";
    let is_any = !zones.is_empty();
    let drawing = Drawing::Zones(zones);
    is_any.then(|| figure("zones", "Free memory against watermarks", note, drawing))
}

/// Who retains what.
pub fn retained(facts: &RetainedFacts) -> Option<Figure> {
    let of_owner = |owner: &alive::Owner| Branch {
        name: owner.name.clone(),
        bytes: owner.retained_bytes,
        parts: groups(&owner.groups, owner.retained_bytes),
    };
    let first = facts.owners.iter().take(OWNERS);
    let mut parts: Vec<Branch> = first.map(of_owner).collect();
    let named: u64 = parts.iter().map(|part| part.bytes).sum();
    let mut add = |name: String, bytes: u64| {
        let branch = Branch {
            name,
            bytes,
            parts: Vec::new(),
        };
        parts.extend((bytes > 0).then_some(branch));
    };
    // Not all owners are listed.
    let others = facts.owned_bytes.saturating_sub(named);
    add("other owners".to_owned(), others);
    let shared = facts.bytes.saturating_sub(facts.owned_bytes);
    let unreachable = facts.unreachable_bytes.unwrap_or(0);
    let shared = shared.saturating_sub(unreachable);
    let of_several = match facts.unreachable_bytes {
        Some(_) => "shared by several",
        None => "shared by several, or not known",
    };
    add(of_several.to_owned(), shared);
    add("nothing reaches it".to_owned(), unreachable);
    let root = Branch {
        name: "looked at".to_owned(),
        bytes: facts.bytes,
        parts,
    };
    let note = "From left to right: all objects, areas and pages of the kernel that were looked at; whose they are alone; what most of that is.";
    let is_any = facts.bytes > 0;
    let drawing = Drawing::Icicle(root);
    is_any.then(|| figure("retained", "What would go with whom", note, drawing))
}

/// The largest groups; they may overlap, and are shown only while they fit into the whole.
fn groups(of: &[alive::Group], whole: u64) -> Vec<Branch> {
    let mut left = whole;
    let mut parts = Vec::new();
    for group in of.iter().take(GROUPS) {
        let Some(rest) = left.checked_sub(group.retained_bytes) else {
            continue;
        };
        left = rest;
        parts.push(Branch {
            name: format!("{} {}", group.objects, group.name),
            bytes: group.retained_bytes,
            parts: Vec::new(),
        });
    }
    parts
}
