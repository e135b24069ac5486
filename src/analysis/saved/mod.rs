//! What tools saved of a machine while it ran: /proc/slabinfo, /proc/meminfo, `slabtop -o`, the
//! archives of OSWatcher, which have many of them in one file.
//!
//! Layer: analysis. Input: a text. Output: [`Moment`]s. Invariants: what a text is, is told by
//! what is in it, not by its name; a line that is not one is an error with its number.

mod meminfo;
mod oswatcher;
mod slabtop;

pub use oswatcher::seconds;

use std::collections::BTreeMap;

use thiserror::Error;

use super::growth::Sample;
use super::saved_slabinfo::{self, SlabinfoError};

/// What a text says of one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// Seconds since 1970, if the text says it.
    pub time: Option<i64>,
    /// Caches, by /proc/slabinfo's counts.
    pub caches: Option<Sample>,
    /// Bytes by the names of /proc/meminfo.
    pub meminfo: Option<BTreeMap<String, u64>>,
}

/// Why a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SavedError {
    /// Of a /proc/slabinfo.
    #[error(transparent)]
    Slabinfo(#[from] SlabinfoError),
    /// A line that is cut short, or not of that form.
    #[error("line {line} is not a line of {what}: save it again, as it is")]
    BadLine {
        /// From 1.
        line: usize,
        /// What the text is.
        what: &'static str,
    },
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// /proc/slabinfo.
    Slabinfo,
    /// /proc/meminfo.
    Meminfo,
    /// `slabtop -o`.
    Slabtop,
    /// An archive of OSWatcher (oswslabinfo, oswmeminfo).
    Oswatcher,
}

impl Kind {
    /// By how a text begins; `None` if it is none of these.
    pub fn of(start: &str) -> Option<Self> {
        let first = start.trim_start();
        if first.starts_with(saved_slabinfo::MAGIC) {
            Some(Self::Slabinfo)
        } else if first.starts_with(meminfo::FIRST) {
            Some(Self::Meminfo)
        } else if first.starts_with(slabtop::FIRST) {
            Some(Self::Slabtop)
        } else if first.starts_with(oswatcher::MARK) || first.starts_with("Linux OSWbb") {
            Some(Self::Oswatcher)
        } else {
            None
        }
    }

    /// As it is called in a result.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slabinfo => "slabinfo",
            Self::Meminfo => "meminfo",
            Self::Slabtop => "slabtop",
            Self::Oswatcher => "oswatcher",
        }
    }
}

/// Reads a text; slabs are of pages of `page_size` bytes. The oldest moment comes first.
///
/// # Errors
/// If a line of it is none.
pub fn read(kind: Kind, text: &str, page_size: u64) -> Result<Vec<Moment>, SavedError> {
    let one = |moment| vec![moment];
    Ok(match kind {
        Kind::Slabinfo => one(Moment {
            caches: Some(saved_slabinfo::parse(text, page_size)?),
            ..Moment::default()
        }),
        Kind::Meminfo => one(Moment {
            meminfo: Some(meminfo::parse(text)?),
            ..Moment::default()
        }),
        Kind::Slabtop => one(Moment {
            caches: Some(slabtop::parse(text)?),
            ..Moment::default()
        }),
        Kind::Oswatcher => oswatcher::parse(text, page_size)?,
    })
}
