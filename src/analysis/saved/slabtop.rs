//! `slabtop -o` (procps): a summary, a head, and a line a cache:
//! `OBJS ACTIVE USE OBJ-SIZE SLABS OBJ/SLAB CACHE-SIZE NAME`.

use super::super::growth::{Counts, Sample};
use super::SavedError;

/// What it begins with.
pub(super) const FIRST: &str = "Active / Total Objects (% used)";
/// What the head of its table begins with.
const HEAD: &str = "OBJS ACTIVE";

pub(super) fn parse(text: &str) -> Result<Sample, SavedError> {
    let mut lines = (1..).zip(text.lines());
    let mut found = Sample::new();
    if !lines.any(|(_, line)| line.trim_start().starts_with(HEAD)) {
        let what = "slabtop -o";
        return Err(SavedError::BadLine { line: 1, what });
    }
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        found.push(row(line).ok_or(SavedError::BadLine {
            line: number,
            what: "slabtop -o",
        })?);
    }
    Ok(found)
}

fn row(line: &str) -> Option<(String, Counts)> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (room, objects) = (number()?, number()?);
    let (_used, _size) = (words.next()?, words.next()?);
    let slabs = words.next()?.parse().ok()?;
    let _per_slab = words.next()?;
    let kilobytes: u64 = words.next()?.strip_suffix('K')?.parse().ok()?;
    let name = words.collect::<Vec<_>>().join(" ");
    let counts = Counts {
        objects,
        room,
        slabs,
        bytes: kilobytes.checked_mul(1024)?,
    };
    (!name.is_empty()).then_some((name, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As slabtop of procps-ng 4.0 prints it.
    const TEXT: &str = " Active / Total Objects (% used)    : 74358 / 78054 (95.3%)
 Active / Total Slabs (% used)      : 2310 / 2310 (100.0%)
 Active / Total Caches (% used)     : 113 / 175 (64.6%)
 Active / Total Size (% used)       : 17825.55K / 18776.93K (94.9%)
 Minimum / Average / Maximum Object : 0.01K / 0.24K / 8.00K

  OBJS ACTIVE  USE OBJ SIZE  SLABS OBJ/SLAB CACHE SIZE NAME
 20496  20496 100%    0.13K    683       30      2732K kernfs_node_cache
  9135   8601  94%    0.19K    435       21      1740K dentry
";

    #[test]
    fn rows_are_read_behind_the_summary() {
        let counts = |objects, room, slabs, kilobytes: u64| Counts {
            objects,
            room,
            slabs,
            bytes: kilobytes << 10,
        };
        let expected = vec![
            (
                "kernfs_node_cache".to_owned(),
                counts(20496, 20496, 683, 2732),
            ),
            ("dentry".to_owned(), counts(8601, 9135, 435, 1740)),
        ];
        assert_eq!(parse(TEXT), Ok(expected));
        let cut = TEXT.replace("1740K dentry", "17");
        let what = "slabtop -o";
        assert_eq!(parse(&cut), Err(SavedError::BadLine { line: 9, what }));
    }
}
