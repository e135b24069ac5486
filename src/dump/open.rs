//! From the paths a user gives to an open [`Dump`](super::Dump): which format a
//! file has, which files form a split set.

use std::path::{Path, PathBuf};

use super::elf::{self, ElfDump};
use super::file::Access;
use super::kdump::{self, KdumpFile};
use super::storage::Bytes;
use super::{DumpError, Store};

/// Outer compressions that kdump-tools or people put around a dump.
const WRAPPERS: [(&[u8], &str, &str); 5] = [
    (b"\x1f\x8b", "gzip", "gunzip -k"),
    (b"BZh", "bzip2", "bunzip2 -k"),
    (b"\xfd7zXZ\0", "xz", "unxz -k"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4 -k"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd -k"),
];

/// Opens one file, or several that form a split set.
pub(super) fn open_store(paths: &[PathBuf], access: Access) -> Result<Store, DumpError> {
    let files = paths.iter().map(|path| Bytes::open(path, access));
    store_of(files, paths)
}

/// The dump that `files` are, of which `paths` are the names.
pub(super) fn store_of(
    files: impl Iterator<Item = Result<Bytes, DumpError>>,
    paths: &[PathBuf],
) -> Result<Store, DumpError> {
    let mut parts = Vec::new();
    for bytes in files {
        let bytes = bytes?;
        let path = bytes.path();
        let magic = bytes.get_up_to(0, 16).into_owned();
        if kdump::SIGNATURES.iter().any(|sig| magic.starts_with(sig)) {
            parts.push(KdumpFile::open(bytes)?);
        } else if paths.len() > 1 {
            return Err(DumpError::SplitSet {
                path: path.to_owned(),
                why: "several files must be the parts of one split kdump (makedumpfile --split); this is none".into(),
            });
        } else if elf::is_elf(&magic) {
            return ElfDump::open(bytes).map(|elf| Store::Elf(Box::new(elf)));
        } else {
            return Err(unknown(path, &magic));
        }
    }
    split_set(parts, paths).map(Store::Kdump)
}

fn unknown(path: &Path, magic: &[u8]) -> DumpError {
    let path = path.to_owned();
    for (signature, with, command) in WRAPPERS {
        if magic.starts_with(signature) {
            let command = format!("{command} {}", path.display());
            return DumpError::Wrapped {
                path,
                with,
                command,
            };
        }
    }
    let magic = magic.escape_ascii().to_string();
    DumpError::UnknownFormat {
        path,
        magic: format!("\"{magic}\""),
    }
}

/// Sorts the parts by their range and checks that they are one dump.
fn split_set(mut parts: Vec<KdumpFile>, paths: &[PathBuf]) -> Result<Vec<KdumpFile>, DumpError> {
    parts.sort_by_key(|part| part.range().start);
    let fail = |part: &KdumpFile, why: &str| {
        Err(DumpError::SplitSet {
            path: part.bytes().path().to_owned(),
            why: why.to_owned(),
        })
    };
    for pair in parts.windows(2) {
        let [before, after] = pair else { continue };
        if !(before.facts.split && after.facts.split) {
            return fail(after, "not a part of a split set; give one dump at a time");
        }
        if before.facts.max_pfn != after.facts.max_pfn
            || before.facts.page_size != after.facts.page_size
            || before.facts.timestamp != after.facts.timestamp
        {
            return fail(after, "a part of another dump than the other files");
        }
        if before.range().end > after.range().start {
            return fail(
                after,
                "holds pages that another part holds too; is it given twice?",
            );
        }
    }
    if parts.is_empty() {
        let path = paths.first().cloned().unwrap_or_default();
        return Err(DumpError::NoDumpInDirectory {
            path,
            hint: String::new(),
        });
    }
    Ok(parts)
}

/// Whether a file starts as one of the dump formats does.
pub fn looks_like_dump(path: &Path) -> bool {
    use std::io::Read;
    if !path.is_file() {
        return false;
    }
    let mut magic = [0; 18];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut magic));
    if read.is_err() {
        return false;
    }
    const ET_CORE: [u8; 2] = [4, 0];
    magic.starts_with(super::flattened::SIGNATURE)
        || kdump::SIGNATURES.iter().any(|sig| magic.starts_with(sig))
        || (elf::is_elf(&magic) && magic.ends_with(&ET_CORE))
}
