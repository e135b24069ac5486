//! What of a report is drawn: numbers and labels of each picture, taken from the documents of the
//! commands. How it is drawn is the renderer's.
//!
//! Layer: report. Invariant: no number here is another than the one that the command tells.

use crate::analysis::conntrack::{Summary, Top};
use crate::analysis::memory::Memory;
use crate::analysis::nat::PortUse;
use crate::analysis::pages::Group;
use crate::analysis::sockets::SocketsSummary;
use crate::graph::AgeField;
use crate::graph::alive::RetainedFacts;
use crate::report::leaks::LeaksReport;
use crate::report::pages::PagesReport;
use crate::report::ps::PsReport;
use crate::subsys::mm::zones::{NodeFacts, ZoneFacts};

/// Rows of a picture with bars.
const ROWS: usize = 10;
/// Histograms of ages: of so many caches.
const AGED: usize = 4;
/// Owners of the retained that have a box of their own, and groups in each.
const OWNERS: usize = 14;
const GROUPS: usize = 4;

/// One picture.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Of it and no other on the page.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// How to read it, in a sentence.
    pub note: String,
    /// What is drawn.
    pub drawing: Drawing,
}

/// How numbers are shown.
#[derive(Clone, Debug)]
pub enum Drawing {
    /// Boxes as large as their share, in groups.
    Treemap(Vec<Area>),
    /// What is in what: boxes beside boxes.
    Icicle(Branch),
    /// A bar a row, in pieces.
    Bars(Bars),
    /// How often each class is.
    Columns(Columns),
    /// Free memory against watermarks.
    Zones(Vec<Zone>),
}

/// A box of a treemap.
#[derive(Clone, Debug)]
pub struct Area {
    /// For programs.
    pub code: String,
    /// What it is.
    pub name: String,
    /// Beside which others it stands.
    pub group: Group,
    /// Its size.
    pub bytes: u64,
}

/// A part of a whole, with its own parts.
#[derive(Clone, Debug)]
pub struct Branch {
    /// What it is.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// The largest first; they may be less than the whole.
    pub parts: Vec<Branch>,
}

/// What the numbers of bars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Memory.
    Bytes,
    /// Things.
    Count,
}

/// Rows of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// Of all numbers.
    pub unit: Unit,
    /// What the pieces of each bar are, in order; of one piece no name is shown.
    pub pieces: Vec<&'static str>,
    /// The whole that each bar is drawn against; `None`: the longest.
    pub whole: Option<u64>,
    /// In order.
    pub rows: Vec<Row>,
    /// Rows that are left out.
    pub more: usize,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is of.
    pub name: String,
    /// More of it, in a line of its own.
    pub detail: Option<String>,
    /// As many as there are pieces.
    pub values: Vec<u64>,
}

/// A histogram.
#[derive(Clone, Debug)]
pub struct Columns {
    /// What is counted.
    pub of: &'static str,
    /// Each class, and how many are of it.
    pub classes: Vec<(String, u64)>,
    /// What stands under the first and the last, where the classes have no names.
    pub ends: Option<(&'static str, &'static str)>,
}

/// A zone against its watermarks.
#[derive(Clone, Debug)]
pub struct Zone {
    /// `node 0 Normal`.
    pub name: String,
    /// Free.
    pub free: u64,
    /// What the page allocator has.
    pub managed: u64,
    /// min, low and high.
    pub marks: [u64; 3],
}

fn figure(id: &str, title: impl Into<String>, note: &str, drawing: Drawing) -> Figure {
    Figure {
        id: id.to_owned(),
        title: title.into(),
        note: note.to_owned(),
        drawing,
    }
}

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

/// States, time-outs and ages of connections.
pub fn connections(summary: &Summary) -> Vec<Figure> {
    if summary.entries == 0 {
        return Vec::new();
    }
    let rows = summary.by_kind.iter().take(ROWS).map(|kind| {
        let state = Some(kind.state).filter(|state| *state != "-");
        let words = [Some(kind.l3proto), Some(kind.l4proto), state];
        Row {
            name: words.into_iter().flatten().collect::<Vec<_>>().join(" "),
            detail: None,
            values: vec![kind.count],
        }
    });
    let states = Bars {
        unit: Unit::Count,
        pieces: vec!["connections"],
        whole: None,
        rows: rows.collect(),
        more: summary.by_kind.len().saturating_sub(ROWS),
    };
    let note = "Entries of the connection table by protocol and state.";
    let states = Drawing::Bars(states);
    let mut figures = vec![figure("states", "Connections by state", note, states)];
    let note = "Seconds until each entry would have gone by itself.";
    let left = classes(&summary.time_left);
    figures.push(figure("timeouts", "Time left of connections", note, left));
    if let Some(ages) = &summary.ages {
        let note = "How long ago each entry was made.";
        figures.push(figure("age", "Age of connections", note, classes(ages)));
    }
    figures
}

fn classes(of: &[Top]) -> Drawing {
    let short = |name: &str| {
        let name = name.replace("up to ", "≤ ").replace("more than ", "> ");
        name.replace("> a day", "> 1 day")
    };
    let classes = of.iter().map(|class| (short(&class.name), class.count));
    Drawing::Columns(Columns {
        of: "connections",
        classes: classes.collect(),
        ends: None,
    })
}

/// Ports in use, of an external address towards a remote end.
pub fn ports(groups: &[PortUse]) -> Option<Figure> {
    let rows = groups.iter().take(ROWS).map(|group| Row {
        name: format!("{} {}", group.l4proto, group.external),
        detail: Some(format!("to {} port {}", group.remote, group.remote_port)),
        values: vec![group.used],
    });
    let bars = Bars {
        unit: Unit::Count,
        pieces: vec!["ports in use"],
        whole: groups.first().map(|group| group.range),
        rows: rows.collect(),
        more: groups.len().saturating_sub(ROWS),
    };
    let note = "Against all ports that there are: towards each remote end an external address has as many.";
    let drawing = Drawing::Bars(bars);
    let is_any = !groups.is_empty();
    is_any.then(|| figure("ports", "Ports in use per external address", note, drawing))
}

/// Sockets by kind and state.
pub fn sockets(summary: &SocketsSummary) -> Option<Figure> {
    let mut states: Vec<_> = summary.states.iter().collect();
    states.sort_by_key(|of| std::cmp::Reverse(of.sums.sockets));
    let rows = states.iter().take(ROWS).map(|of| Row {
        name: format!("{} {}", of.kind.name(), of.state),
        detail: None,
        values: vec![of.sums.sockets],
    });
    let bars = Bars {
        unit: Unit::Count,
        pieces: vec!["sockets"],
        whole: None,
        rows: rows.collect(),
        more: states.len().saturating_sub(ROWS),
    };
    let note = "All network namespaces; TIME_WAIT and handshakes too.";
    let drawing = Drawing::Bars(bars);
    (!states.is_empty()).then(|| figure("sockets", "Sockets by state", note, drawing))
}

/// Who retains what.
pub fn retained(facts: &RetainedFacts) -> Option<Figure> {
    let of_owner = |owner: &crate::graph::alive::Owner| Branch {
        name: owner.name.clone(),
        bytes: owner.retained_bytes,
        parts: groups(&owner.groups, owner.retained_bytes),
    };
    let (first, others) = facts.owners.split_at(facts.owners.len().min(OWNERS));
    let mut parts: Vec<Branch> = first.iter().map(of_owner).collect();
    let mut add = |name: String, bytes: u64| {
        let branch = Branch {
            name,
            bytes,
            parts: Vec::new(),
        };
        parts.extend((bytes > 0).then_some(branch));
    };
    let of_others = others.iter().map(|owner| owner.retained_bytes).sum();
    add(format!("{} other owners", others.len()), of_others);
    let shared = facts.bytes.saturating_sub(facts.owned_bytes);
    let shared = shared.saturating_sub(facts.unreachable_bytes);
    add("shared by several".to_owned(), shared);
    add("nothing reaches it".to_owned(), facts.unreachable_bytes);
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
fn groups(of: &[crate::graph::alive::Group], whole: u64) -> Vec<Branch> {
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

impl Figure {
    /// Puts each label through `change`.
    pub fn relabel(&mut self, change: &mut dyn FnMut(&str) -> String) {
        self.title = change(&self.title);
        match &mut self.drawing {
            Drawing::Icicle(root) => root.relabel(change),
            Drawing::Bars(bars) => {
                for row in &mut bars.rows {
                    row.name = change(&row.name);
                    row.detail = row.detail.as_deref().map(&mut *change);
                }
            }
            // Their labels are vmleak's own.
            Drawing::Treemap(_) | Drawing::Columns(_) | Drawing::Zones(_) => {}
        }
    }
}

impl Branch {
    fn relabel(&mut self, change: &mut dyn FnMut(&str) -> String) {
        self.name = change(&self.name);
        for part in &mut self.parts {
            part.relabel(change);
        }
    }
}
