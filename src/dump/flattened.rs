//! makedumpfile's flattened format: a dump as a sequence of "write these bytes
//! at that offset" records, made for pipes; the default of Debian and Ubuntu,
//! and what QEMU writes.
//!
//! Nothing is re-assembled: the records are indexed once, by hopping from header
//! to header, and reads go through the index. Records may come in any order and
//! may overwrite each other; the later one holds.
//!
//! Layout: 4 KiB of header (signature, type, version as big-endian i64),
//! then records of (offset i64, size i64, big-endian) and `size` bytes; an
//! offset of -1 ends the file. Source: makedumpfile's makedumpfile.h.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::DumpError;
use super::source::DumpFile;
use crate::bytes::i64_be_at;

/// What a flattened file starts with.
pub(crate) const SIGNATURE: &[u8] = b"makedumpfile\0\0\0\0";

const HEADER_LEN: u64 = 4 << 10;
const RECORD_HEADER_LEN: u64 = 16;

#[derive(Clone, Copy, Debug)]
struct Extent {
    logical: u64,
    len: u64,
    file: u64,
}

/// A flattened file with the index of its records.
#[derive(Debug)]
pub(crate) struct Flattened {
    file: DumpFile,
    extents: Vec<Extent>,
    len: u64,
    ended: bool,
}

impl Flattened {
    /// Indexes the records of `file`, whose signature has been checked.
    ///
    /// # Errors
    /// If the header names an unknown type or version, or a record makes no sense.
    pub(crate) fn open(file: DumpFile) -> Result<Self, DumpError> {
        let bad = |offset: u64, why: &str| DumpError::BadHeader {
            path: file.path().to_owned(),
            offset,
            why: why.to_owned(),
        };
        if pair_at(&file, 16) != Some((1, 1)) {
            return Err(bad(16, "flattened dump of an unknown type or version"));
        }
        let mut index = Index::default();
        let mut at = HEADER_LEN;
        let mut ended = false;
        while let Some((offset, size)) = pair_at(&file, at) {
            if offset == -1 {
                ended = true;
                break;
            }
            let data = at + RECORD_HEADER_LEN;
            let (Ok(logical), Ok(size)) = (u64::try_from(offset), u64::try_from(size)) else {
                return Err(bad(at, "flattened record with a negative offset or size"));
            };
            if logical.checked_add(size).is_none() {
                return Err(bad(at, "flattened record that ends beyond 2^64"));
            }
            index.insert(Extent {
                logical,
                len: size.min(file.len().saturating_sub(data)),
                file: data,
            });
            at = data.saturating_add(size);
        }
        let extents: Vec<Extent> = index.0.into_values().collect();
        let len = extents.last().map_or(0, |e| e.logical + e.len);
        Ok(Self {
            extents,
            len,
            ended,
            file,
        })
    }

    /// The underlying file.
    pub(crate) fn file(&self) -> &DumpFile {
        &self.file
    }

    /// Length of the dump that the records describe.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether the end record was found; if not, the file is cut short.
    pub(crate) fn is_whole(&self) -> bool {
        self.ended
    }

    /// The `len` bytes at `offset` of the dump: in place if one record holds them all,
    /// put together otherwise; `None` if any of them is in no record.
    pub(crate) fn get(&self, offset: u64, len: usize) -> Option<Cow<'_, [u8]>> {
        let first = self
            .extents
            .partition_point(|e| e.logical <= offset)
            .checked_sub(1)?;
        let mut whole = Vec::new();
        let mut at = offset;
        let mut left = len;
        for extent in self.extents.get(first..)? {
            let skip = at.checked_sub(extent.logical)?;
            let usable = usize::try_from(extent.len.checked_sub(skip)?).ok()?;
            let part = self.file.get(extent.file + skip, usable.min(left))?;
            if part.len() == len {
                return Some(part);
            }
            whole.extend_from_slice(&part);
            at += part.len() as u64;
            left -= part.len();
            if left == 0 {
                return Some(Cow::Owned(whole));
            }
        }
        None
    }
}

/// Two words beside each other, as each header of the format has them.
fn pair_at(file: &DumpFile, at: u64) -> Option<(i64, i64)> {
    let pair = file.get(at, 16)?;
    Some((i64_be_at(&pair, 0)?, i64_be_at(&pair, 8)?))
}

/// Extents by logical offset, never overlapping.
#[derive(Default)]
struct Index(BTreeMap<u64, Extent>);

impl Index {
    fn insert(&mut self, new: Extent) {
        if new.len == 0 {
            return;
        }
        let new_end = new.logical + new.len;
        // Cut what the new record overwrites: the one that starts before it, then those inside.
        if let Some((_, &before)) = self.0.range(..new.logical).next_back() {
            self.cut(before, new.logical, new_end);
        }
        while let Some((_, &inside)) = self.0.range(new.logical..new_end).next() {
            self.cut(inside, new.logical, new_end);
        }
        self.0.insert(new.logical, new);
    }

    /// Keeps of `old` only what lies outside `start..end`.
    fn cut(&mut self, old: Extent, start: u64, end: u64) {
        let old_end = old.logical + old.len;
        if old_end <= start || old.logical >= end {
            return;
        }
        self.0.remove(&old.logical);
        if old.logical < start {
            let len = start - old.logical;
            self.0.insert(old.logical, Extent { len, ..old });
        }
        if old_end > end {
            let skip = end - old.logical;
            let tail = Extent {
                logical: end,
                len: old.len - skip,
                file: old.file + skip,
            };
            self.0.insert(end, tail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::file::Access;
    use std::io::Write;

    fn flattened(records: &[(i64, &[u8])], end: bool) -> (tempfile::NamedTempFile, Flattened) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut header = SIGNATURE.to_vec();
        header.extend(1i64.to_be_bytes());
        header.extend(1i64.to_be_bytes());
        header.resize(HEADER_LEN as usize, 0);
        file.write_all(&header).unwrap();
        for (offset, data) in records {
            file.write_all(&offset.to_be_bytes()).unwrap();
            file.write_all(&(data.len() as i64).to_be_bytes()).unwrap();
            file.write_all(data).unwrap();
        }
        if end {
            file.write_all(&[0xff; 16]).unwrap();
        }
        let flat = Flattened::open(DumpFile::open(file.path(), Access::Map).unwrap()).unwrap();
        (file, flat)
    }

    #[test]
    fn later_records_overwrite_earlier_ones() {
        let (_file, flat) = flattened(&[(0, b"aaaaaaaa"), (10, b"zz"), (2, b"bbb")], true);
        assert_eq!(flat.get(0, 8).as_deref(), Some(&b"aabbbaaa"[..]));
        assert_eq!(flat.get(9, 2), None);
        assert_eq!(flat.get(10, 2).as_deref(), Some(&b"zz"[..]));
        assert_eq!(flat.len(), 12);
        assert!(flat.is_whole());
    }

    /// Every way in which two records can lie to each other, and a third over both: byte by byte
    /// what writing them one after the other leaves.
    #[test]
    fn overlapping_records_leave_what_writing_them_would() {
        let ranges: Vec<(usize, usize)> = (0..5)
            .flat_map(|start| (0..=5 - start).map(move |len| (start, len)))
            .collect();
        for first in &ranges {
            for second in &ranges {
                for third in [(0, 5), (1, 3), (2, 1), (4, 1), (6, 2)] {
                    let order = [*first, *second, third];
                    let mut file = [None; 8];
                    let mut records = Vec::new();
                    for ((start, len), letters) in
                        order.into_iter().zip([b"abcde", b"ABCDE", b"12345"])
                    {
                        records.push((start as i64, &letters[..len]));
                    }
                    for (start, bytes) in &records {
                        for (at, byte) in (*start as usize..).zip(*bytes) {
                            file[at] = Some(*byte);
                        }
                    }
                    let (_file, flat) = flattened(&records, true);
                    let end = file
                        .iter()
                        .rposition(Option::is_some)
                        .map_or(0, |at| at + 1);
                    assert_eq!(flat.len(), end as u64, "{order:?}");
                    for from in 0..8 {
                        for to in from + 1..=8 {
                            let wanted: Option<Vec<u8>> = file[from..to].iter().copied().collect();
                            let read = flat.get(from as u64, to - from);
                            assert_eq!(
                                read.as_deref(),
                                wanted.as_deref(),
                                "{order:?} {from}..{to}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_read_across_records_is_put_together() {
        let (_file, flat) = flattened(&[(4, b"5678"), (0, b"1234"), (8, b"9")], false);
        assert_eq!(flat.get(2, 7).as_deref(), Some(&b"3456789"[..]));
        assert!(matches!(flat.get(4, 4), Some(Cow::Borrowed(b"5678"))));
        assert_eq!(flat.get(8, 2), None);
        assert!(!flat.is_whole());
    }
}
