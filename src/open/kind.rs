//! What a file is, by its first bytes: people give files in any order and under any name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::bytes;
use crate::dump;
use crate::types::{is_system_map, is_vmlinuz, unpacked_start};

/// The kinds of files that go with a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A dump, or a part of one.
    Dump,
    /// The kernel: vmlinux, also packed, or in a vmlinuz.
    Vmlinux,
    /// A module's object or debug file.
    Module,
    /// A list of symbols.
    SystemMap,
    /// None of them, or no regular file.
    Unknown,
}

/// `e_type` of an object file, which modules are.
const ET_REL: u16 = 1;
const ET_CORE: u16 = 4;
/// Enough for `HdrS`, which a kernel's boot sector has.
const START: usize = 1024;

/// What the file at `path` is.
pub fn kind_of(path: &Path) -> FileKind {
    if dump::looks_like_dump(path) {
        return FileKind::Dump;
    }
    if is_system_map(path) {
        return FileKind::SystemMap;
    }
    kind_of_start(&start_of(path))
}

fn kind_of_start(start: &[u8]) -> FileKind {
    if start.starts_with(b"\x7fELF") {
        return match bytes::u16_at(start, 16) {
            Some(ET_REL) => FileKind::Module,
            Some(ET_CORE) => FileKind::Dump,
            _ => FileKind::Vmlinux,
        };
    }
    if start.starts_with(b"KDUMP   ") {
        return FileKind::Dump;
    }
    if is_vmlinuz(start) {
        return FileKind::Vmlinux;
    }
    FileKind::Unknown
}

/// The first bytes of what the file holds, unpacked if it is packed.
fn start_of(path: &Path) -> Vec<u8> {
    let mut raw = Vec::new();
    // Looked at before it is opened: opening a FIFO would wait for a writer for ever.
    if path.is_file()
        && let Ok(file) = File::open(path)
    {
        // What is read before an error tells enough.
        let _ = file.take(1 << 16).read_to_end(&mut raw);
    }
    unpacked_start(&raw, START).unwrap_or(raw)
}

/// The first bytes of the file as it is, for messages.
pub(super) fn printable_start(path: &Path) -> String {
    let mut start = [0; 16];
    let mut file = File::open(path).ok();
    let len = file.as_mut().and_then(|file| file.read(&mut start).ok());
    let start = start.get(..len.unwrap_or(0)).unwrap_or_default();
    format!("\"{}\"", start.escape_ascii())
}
