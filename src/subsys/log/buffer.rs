//! The log before 5.10: records one behind the other in `log_buf` (`struct printk_log`,
//! kernel/printk/printk.c). A record of length 0 says that the next one is at the start.

use super::{Caller, LogRecord};
use crate::addr::VirtAddr;
use crate::kernel::layout::{LayoutError, layout};
use crate::kernel::{Kernel, KernelError};
use crate::partial::{End, Partial};

layout! {
    /// kernel/printk/printk.c, 3.11 to 5.9.
    struct RecordLayout = "printk_log" in "kernel/printk/printk.c" | "kernel/printk.c" {
        need ts_nsec = "ts_nsec",
        need record_len = "len",
        need text_len = "text_len",
        need facility = "facility",
        need level = "level",
        /// 5.1 and later, with CONFIG_PRINTK_CALLER.
        maybe caller = "caller_id",
    }
}

layout! {
    /// kernel/printk.c, 3.5 to 3.10: the same under another name (commit 62e32ac3505a).
    struct OldRecordLayout = "log" in "kernel/printk.c" {
        need ts_nsec = "ts_nsec",
        need record_len = "len",
        need text_len = "text_len",
        need facility = "facility",
        need level = "level",
    }
}

impl RecordLayout {
    fn find(kernel: &Kernel) -> Result<Self, LayoutError> {
        match kernel.layout() {
            Err(LayoutError::NoStruct(_)) => {}
            found => return found,
        }
        let old: OldRecordLayout = kernel.layout()?;
        Ok(Self {
            struct_size: old.struct_size,
            len: old.len,
            ts_nsec: old.ts_nsec,
            record_len: old.record_len,
            text_len: old.text_len,
            facility: old.facility,
            level: old.level,
            caller: None,
        })
    }
}

/// Where the records are.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Bytes of the buffer.
    size: u64,
    first: u64,
    next: u64,
    first_seq: u64,
    next_seq: u64,
}

/// All records, oldest first.
pub(super) fn records(kernel: &Kernel) -> Result<Partial<Vec<LogRecord>>, KernelError> {
    let layout = RecordLayout::find(kernel)?;
    let long = |name| kernel.u64_of(name).value();
    let int = |name| kernel.u32_of(name).value().map(u64::from);
    let extent = || {
        Some(Extent {
            size: int("log_buf_len")?,
            first: int("log_first_idx")?,
            next: int("log_next_idx")?,
            first_seq: long("log_first_seq")?,
            next_seq: long("log_next_seq")?,
        })
    };
    let (Some(extent), Some(buffer)) = (extent(), long("log_buf")) else {
        return Ok(Partial::new(Vec::new(), End::Fault, 0));
    };
    let read = |offset: u64, len: usize| {
        let at = VirtAddr(buffer).plus(offset);
        kernel.space.read_bytes(at, len).ok()
    };
    let mut found = layout.walk(extent, read);
    for (at, _) in found.value.iter_mut().filter_map(|one| one.place.as_mut()) {
        *at = VirtAddr(buffer).plus(at.0);
    }
    Ok(found)
}

impl RecordLayout {
    fn walk(
        &self,
        extent: Extent,
        read: impl Fn(u64, usize) -> Option<Vec<u8>>,
    ) -> Partial<Vec<LogRecord>> {
        let header = self.struct_size.max(self.len).max(1);
        let expected = extent.next_seq.wrapping_sub(extent.first_seq);
        // No record is shorter than its header.
        let bound = extent.size / header as u64 + 1;
        let mut found = Vec::new();
        let (mut at, mut seq) = (extent.first, extent.first_seq);
        let end = loop {
            if seq == extent.next_seq {
                break End::Complete;
            }
            if found.len() as u64 > bound {
                break End::Limit;
            }
            if at >= extent.size {
                break End::BrokenLink;
            }
            // Too near the end for a header: the buffer starts over, as with a length of 0.
            let record = match extent.size - at < header as u64 {
                true => None,
                false => match read(at, header) {
                    Some(record) => Some(record),
                    None => break End::Fault,
                },
            };
            let len = record
                .as_ref()
                .map_or(0, |record| self.record_len.get(record));
            let Some(record) = record.filter(|_| len > 0) else {
                if at == 0 || at == extent.next {
                    break End::BrokenLink;
                }
                at = 0;
                continue;
            };
            if len < header as u64 || len > extent.size - at {
                break End::BrokenLink;
            }
            let text_len = self.text_len.get(&record).min(len - header as u64);
            let Some(text) = read(at + header as u64, text_len as usize) else {
                break End::Fault;
            };
            found.push(LogRecord {
                seq,
                ts_nsec: self.ts_nsec.get(&record),
                level: self.level.get(&record) as u8,
                facility: self.facility.get(&record) as u8,
                caller: self
                    .caller
                    .map(|field| Caller::from_kernel(field.get(&record) as u32)),
                subsystem: None,
                device: None,
                text: super::text(&text),
                // In the buffer.
                place: Some((VirtAddr(at + header as u64), text.len())),
            });
            at += len;
            seq += 1;
        };
        let seen = found.len() as u64;
        Partial::new(found, end, seen).expecting(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::layout::Field;
    use crate::types::Bits;

    const HEADER: usize = 16;

    /// As pahole prints it for a kernel of 4.19: `flags:5` and `level:3` share the last byte.
    fn layout() -> RecordLayout {
        let field = |offset, size| Field {
            offset,
            size,
            bits: None,
        };
        RecordLayout {
            struct_size: HEADER,
            len: HEADER,
            ts_nsec: field(0, 8),
            record_len: field(8, 2),
            text_len: field(10, 2),
            facility: field(14, 1),
            level: Field {
                bits: Some(Bits { shift: 5, width: 3 }),
                ..field(15, 1)
            },
            caller: None,
        }
    }

    fn record(text: &str, ts: u64, level: u8) -> Vec<u8> {
        let dict = b"SUBSYSTEM=pci";
        let len = (HEADER + text.len() + dict.len()).next_multiple_of(8);
        let mut out = ts.to_le_bytes().to_vec();
        out.extend((len as u16).to_le_bytes());
        out.extend((text.len() as u16).to_le_bytes());
        out.extend((dict.len() as u16).to_le_bytes());
        out.extend([0, level << 5 | 0b10]);
        out.extend(text.bytes());
        out.extend(dict);
        out.resize(len, 0);
        out
    }

    fn walk(buffer: &[u8], extent: Extent) -> Partial<Vec<LogRecord>> {
        layout().walk(extent, |at, len| {
            buffer
                .get(at as usize..at as usize + len)
                .map(<[u8]>::to_vec)
        })
    }

    /// Three records of which the last has wrapped around.
    fn wrapped() -> (Vec<u8>, Extent) {
        let last = record("Kernel panic - not syncing: third", 3, 0);
        let first = record("first", 1, 6);
        let second = record("second\nof two lines", 2, 4);
        let mut buffer = last.clone();
        let next = buffer.len() as u64;
        buffer.resize(buffer.len() + 64, 0xaa);
        let start = buffer.len() as u64;
        buffer.extend(first);
        buffer.extend(second);
        buffer.extend([0; 24]);
        let extent = Extent {
            size: buffer.len() as u64,
            first: start,
            next,
            first_seq: 100,
            next_seq: 103,
        };
        (buffer, extent)
    }

    #[test]
    fn records_wrap_around_the_end() {
        let (buffer, extent) = wrapped();
        let found = walk(&buffer, extent);
        assert!(found.is_complete());
        let texts: Vec<_> = found.value.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "first",
                "second\nof two lines",
                "Kernel panic - not syncing: third"
            ]
        );
        let levels: Vec<_> = found.value.iter().map(|one| one.level).collect();
        assert_eq!(levels, [6, 4, 0]);
        assert_eq!((found.value[2].seq, found.value[2].ts_nsec), (102, 3));
    }

    #[test]
    fn damage_ends_the_walk() {
        let (buffer, extent) = wrapped();
        let with = |at: usize, bytes: &[u8]| {
            let mut buffer = buffer.clone();
            buffer[at..at + bytes.len()].copy_from_slice(bytes);
            walk(&buffer, extent).end
        };
        let start = extent.first as usize;
        assert_eq!(with(start + 8, &[8, 0]), End::BrokenLink);
        assert_eq!(with(start + 8, &[0xff, 0xff]), End::BrokenLink);
        // Length 0 at the very start would go round for ever.
        assert_eq!(with(8, &[0, 0]), End::BrokenLink);
        let far = Extent {
            next_seq: u64::MAX,
            ..extent
        };
        assert!(!walk(&buffer, far).is_complete());
        assert_eq!(walk(&buffer[..start + 20], extent).end, End::Fault);
    }
}
