//! From the paths a user gives to an open [`Dump`](super::Dump): which format a
//! file has, which files form a split set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::elf;
use super::file::Access;
use super::kdump::{self, KdumpFile, KdumpSet};
use super::page_source::SharedSource;
use super::storage::Bytes;
use super::{DumpError, avml, foreign, lime, raw, sadump, savevm, vmware};

/// Bytes that tell the formats that are read.
const MAGIC: u64 = 16;

/// What the images of memory that are read begin with, where they begin with anything.
const IMAGES: [&[u8]; 4] = [
    lime::MAGIC,
    avml::MAGIC,
    savevm::MAGIC,
    savevm::LIBVIRT_MAGIC,
];

/// Opens one file, or several that form a split set; of a VMware snapshot the file beside it too.
pub(super) fn open_source(paths: &[PathBuf], access: Access) -> Result<SharedSource, DumpError> {
    let beside = match paths {
        [path] => vmware::sibling(path),
        _ => None,
    };
    let files = paths.iter().chain(&beside);
    source_of(files.map(|path| Bytes::open(path, access)), paths)
}

/// The dump that `files` are, of which `paths` are the names.
pub(super) fn source_of(
    files: impl Iterator<Item = Result<Bytes, DumpError>>,
    paths: &[PathBuf],
) -> Result<SharedSource, DumpError> {
    let mut files = files.collect::<Result<Vec<_>, _>>()?;
    if let Some(at) = files
        .iter()
        .position(|bytes| vmware::is_snapshot(&start_of(bytes)))
        && files.len() <= 2
    {
        let snapshot = files.remove(at);
        return Ok(Arc::new(vmware::open(snapshot, files.pop())?));
    }
    if files.iter().all(sadump::is_sadump) && !files.is_empty() {
        return Ok(Arc::new(sadump::open(files)?));
    }
    let alone = files.len() == 1;
    let mut parts = Vec::new();
    for bytes in files {
        let magic = start_of(&bytes);
        if kdump::SIGNATURES.iter().any(|sig| magic.starts_with(sig)) {
            parts.push(KdumpFile::open(bytes)?);
        } else if alone {
            return of_this_machine(alone_by_magic(bytes, &magic)?, paths);
        } else {
            return Err(DumpError::SplitSet {
                path: bytes.path().to_owned(),
                why: "several files must be the parts of one split kdump (makedumpfile --split); this is none".into(),
            });
        }
    }
    of_this_machine(Arc::new(KdumpSet::new(parts, paths)?), paths)
}

/// The first bytes. More of a flattened file may be in no record.
fn start_of(bytes: &Bytes) -> Vec<u8> {
    bytes.get_up_to(0, MAGIC).into_owned()
}

/// A dump that is one file, and no kdump.
fn alone_by_magic(bytes: Bytes, magic: &[u8]) -> Result<SharedSource, DumpError> {
    Ok(if elf::is_elf(magic) {
        Arc::new(elf::open(bytes)?)
    } else if magic.starts_with(lime::MAGIC) {
        Arc::new(lime::open(bytes)?)
    } else if magic.starts_with(avml::MAGIC) {
        Arc::new(avml::open(bytes)?)
    } else if magic.starts_with(savevm::MAGIC) || magic.starts_with(savevm::LIBVIRT_MAGIC) {
        Arc::new(savevm::open(bytes)?)
    } else {
        let start = bytes.get_up_to(0, foreign::LOOKED_AT);
        match foreign::error(bytes.path(), &start) {
            // What nothing else is may be memory itself.
            DumpError::UnknownFormat { .. } if bytes.len() >= raw::SMALLEST => {
                drop(start);
                raw::check_vmem(&bytes)?;
                Arc::new(raw::open(bytes))
            }
            error => return Err(error),
        }
    })
}

/// Refuses a dump of a Xen host: dom0's own frame numbers are not the machine's, by which the
/// dump has its pages, so that other domains' memory would be taken for it.
fn of_this_machine(source: SharedSource, paths: &[PathBuf]) -> Result<SharedSource, DumpError> {
    match source.notes().xen {
        false => Ok(source),
        true => Err(DumpError::Unsupported {
            path: paths.first().cloned().unwrap_or_default(),
            what: "a dump of a Xen host (hypervisor and dom0), which vmleak does not read: open it with crash, or take one inside the guest that leaks".to_owned(),
        }),
    }
}

/// Whether a file is VMware's layout of a guest's memory, which has the memory beside it.
pub(crate) fn is_vmware_layout(path: &Path) -> bool {
    let bytes = path.is_file().then(|| Bytes::open(path, Access::Read).ok());
    bytes
        .flatten()
        .is_some_and(|bytes| vmware::lacks_memory(&bytes))
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
    magic.starts_with(super::flattened::SIGNATURE)
        || kdump::SIGNATURES.iter().any(|sig| magic.starts_with(sig))
        || elf::is_core(&magic)
        || magic.starts_with(sadump::PARTITION)
        || vmware::is_snapshot(&magic)
        || IMAGES.iter().any(|image| magic.starts_with(image))
}
