//! /proc/meminfo: `Name:  number kB`; a few lines are numbers of pages.

use std::collections::BTreeMap;

use super::SavedError;

/// What its first line begins with.
pub(super) const FIRST: &str = "MemTotal:";

/// Bytes by name; lines that are counts and no memory are left out.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, u64>, SavedError> {
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let mut found = BTreeMap::new();
    for (number, line) in lines {
        let bad = || SavedError::BadLine {
            line: number,
            what: "/proc/meminfo",
        };
        let (name, rest) = line.split_once(':').ok_or_else(bad)?;
        let mut words = rest.split_whitespace();
        let value: u64 = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(bad)?;
        if words.next() == Some("kB") {
            found.insert(name.trim().to_owned(), value.saturating_mul(1024));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_bytes_and_counts_are_left_out() {
        let text = "MemTotal:        1262556 kB\nSlab:  4 kB\nHugePages_Total:       3\n";
        let found = parse(text).expect("a meminfo");
        let expected = [
            ("MemTotal".to_owned(), 1_262_556 * 1024),
            ("Slab".to_owned(), 4096),
        ];
        assert_eq!(found, BTreeMap::from(expected));
        let bad = parse("MemTotal: 3 kB\nSlab: many kB\n");
        let what = "/proc/meminfo";
        assert_eq!(bad, Err(SavedError::BadLine { line: 2, what }));
    }
}
