//! A saved /proc/slabinfo, as `cat` left it.
//!
//! Input: the text of version 2.1, which every kernel since 2.6.10 writes (mm/slab_common.c:
//! print_slabinfo_header, cache_show). Output: a [`Sample`]. Invariants: a line that is not one
//! is an error with its number, not passed over.

use thiserror::Error;

use super::growth::{Counts, Sample};

/// What its first line begins with.
pub const MAGIC: &str = "slabinfo - version:";

/// Why a text is no /proc/slabinfo.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SlabinfoError {
    /// Another version, or no slabinfo at all.
    #[error("the first line is not \"{MAGIC} 2.1\": save /proc/slabinfo as root, as it is")]
    NotSlabinfo,
    /// A line that is cut short, or not of that form.
    #[error("line {line} is not a line of /proc/slabinfo: save the file again, as it is")]
    BadLine {
        /// From 1.
        line: usize,
    },
}

/// Reads the text; slabs are of pages of `page_size` bytes.
///
/// # Errors
/// If it is not a /proc/slabinfo of version 2.1.
pub fn parse(text: &str, page_size: u64) -> Result<Sample, SlabinfoError> {
    let mut lines = (1..).zip(text.lines());
    let version = lines.next().and_then(|(_, line)| line.strip_prefix(MAGIC));
    // With CONFIG_DEBUG_SLAB it says "2.1 (statistics)".
    if version.and_then(|rest| rest.split_whitespace().next()) != Some("2.1") {
        return Err(SlabinfoError::NotSlabinfo);
    }
    lines
        .filter(|(_, line)| !line.starts_with('#') && !line.is_empty())
        .map(|(number, line)| row(line, page_size).ok_or(SlabinfoError::BadLine { line: number }))
        .collect()
}

/// `name active_objs num_objs objsize objperslab pagesperslab : tunables … : slabdata active_slabs
/// num_slabs sharedavail`. A name may have blanks in it, so the numbers are counted from behind.
fn row(line: &str, page_size: u64) -> Option<(String, Counts)> {
    let mut parts = line.split(" : ");
    let (first, tunables) = (parts.next()?, parts.next()?);
    tunables.strip_prefix("tunables ")?;
    let slabdata = parts.next()?.strip_prefix("slabdata ")?;
    let mut rest = first.trim_end();
    let mut numbers = [0; 5];
    for number in numbers.iter_mut().rev() {
        let (before, word) = rest.rsplit_once(' ')?;
        *number = word.parse().ok()?;
        rest = before.trim_end();
    }
    let [active, room, _size, _per_slab, pages] = numbers;
    let mut slabs = slabdata.split_whitespace().map(str::parse::<u64>);
    let (_active, slabs, _shared) = (
        slabs.next()?.ok()?,
        slabs.next()?.ok()?,
        slabs.next()?.ok()?,
    );
    let counts = Counts {
        objects: active,
        room,
        slabs,
        bytes: slabs.checked_mul(pages)?.checked_mul(page_size)?,
    };
    (!rest.is_empty()).then(|| (rest.to_owned(), counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs>\n";

    #[test]
    fn lines_are_read_by_their_places() {
        let text = format!(
            "{HEAD}{}\n{}\n",
            "nf_conntrack         128    150    320   25    2 : tunables    0    0    0 : slabdata      6      6      0",
            "a name of blanks       1      2      8  512    1 : tunables    0    0    0 : slabdata      1      1      0"
        );
        let counts = |objects, room, slabs, bytes| Counts {
            objects,
            room,
            slabs,
            bytes,
        };
        let expected = vec![
            ("nf_conntrack".to_owned(), counts(128, 150, 6, 6 * 2 * 4096)),
            ("a name of blanks".to_owned(), counts(1, 2, 1, 4096)),
        ];
        assert_eq!(parse(&text, 4096), Ok(expected));
    }

    #[test]
    fn what_is_no_slabinfo_is_refused_with_the_line() {
        assert_eq!(parse("", 4096), Err(SlabinfoError::NotSlabinfo));
        let old = "slabinfo - version: 1.1\n";
        assert_eq!(parse(old, 4096), Err(SlabinfoError::NotSlabinfo));
        for bad in [
            "kmalloc-8  1 2 3",
            "kmalloc-8  1 2 8 512 1 : tunables 0 0 0 : slabdata 1",
            "1 2 8 512 1 : tunables 0 0 0 : slabdata 1 1 0",
            "x 1 2 8 512 99999999999 : tunables 0 0 0 : slabdata 1 9999999999999 0",
        ] {
            let text = format!("{HEAD}{bad}\n");
            let expected = Err(SlabinfoError::BadLine { line: 3 });
            assert_eq!(parse(&text, 4096), expected, "{bad}");
        }
    }
}
