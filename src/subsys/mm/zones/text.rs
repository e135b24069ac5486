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
    pub(super) fn read(kernel: &Kernel) -> Option<Self> {
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

    /// A format with each `%…` replaced by the value of its label, which `value` knows.
    pub fn filled(format: &str, value: impl Fn(&str) -> Option<u64>) -> String {
        let mut out = String::new();
        for line in format.split_inclusive('\n') {
            let Some((before, rest)) = line.split_once('%') else {
                out.push_str(line);
                continue;
            };
            let label = before.trim().trim_end_matches(':');
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            out.push_str(before);
            match value(label) {
                Some(value) => out.push_str(&value.to_string()),
                None => out.push('?'),
            }
            out.push_str(rest.get(end..).unwrap_or_default());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::ZoneinfoText;

    /// The format of 6.1.
    #[test]
    fn labels_tell_what_stands_where() {
        let format = "\n    cpu: %i\n              count: %i\n              high:  %i\n              batch: %i";
        let value = |label: &str| {
            ["cpu", "count", "high"]
                .iter()
                .position(|one| *one == label)
        };
        let text = ZoneinfoText::filled(format, |label| value(label).map(|at| at as u64 + 7));
        assert_eq!(
            text,
            "\n    cpu: 7\n              count: 8\n              high:  9\n              batch: ?"
        );
    }
}
