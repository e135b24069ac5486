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
    /// From `node_unreclaimable` on, up to 4.7 from `all_unreclaimable`.
    pub tail: String,
    /// Up to 4.7: counters of zones alone, before what is kept from lower requests, and no zone
    /// without memory.
    pub by_zone: bool,
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
                "\n  all_unreclaimable: %u",
            ],
        );
        let by_zone = matches!(found, [_, _, Literal::Absent, Literal::Found(_)]);
        let mut found = found.into_iter().map(|literal| match literal {
            Literal::Found(text) => Some(text),
            Literal::Absent | Literal::Unknown => None,
        });
        let mut next = || found.next().flatten();
        let (head, pageset, by_node, of_zone) = (next(), next(), next(), next());
        Some(Self {
            head: head?,
            pageset: pageset?,
            tail: if by_zone { of_zone } else { by_node }?,
            by_zone,
        })
    }
}
