//! What of a report is drawn: numbers and labels of each picture, taken from the documents of the
//! commands. How it is drawn is the renderer's.
//!
//! Layer: report. Invariant: no number here is another than the one that the command tells.

mod memory;
mod network;

use crate::analysis::pages::Group;

pub use self::memory::{leaks, ledger, memory, processes, retained, zones};
pub use self::network::{connections, ports, sockets};

/// Rows of a picture with bars.
const ROWS: usize = 10;

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
