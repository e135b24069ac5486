//! How this kernel prints /proc/zoneinfo: its own format strings, of which the labels tell what
//! stands where (zoneinfo_show_print(), mm/vmstat.c).

use crate::kernel::Kernel;
use crate::kernel::literals::{self, Literal};

/// The formats of a zone's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZoneinfoText {
    /// From `pages free` on.
    pub head: String,
    /// Of one CPU.
    pub pageset: String,
    /// From `node_unreclaimable` on.
    pub tail: String,
}

impl ZoneinfoText {
    /// `None` if the kernel's constants can't be read. Looks through all of them.
    pub fn read(kernel: &Kernel) -> Option<Self> {
        let found = literals::find(
            kernel,
            [
                "\n  pages free     %lu",
                "\n    cpu: %i\n              count:",
                "\n  node_unreclaimable:  %u",
            ],
        );
        let mut found = found.into_iter().map(|literal| match literal {
            Literal::Found(text) => Some(text),
            Literal::Absent | Literal::Unknown => None,
        });
        Some(Self {
            head: found.next()??,
            pageset: found.next()??,
            tail: found.next()??,
        })
    }
}
