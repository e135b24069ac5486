//! /proc/kcore: the memory of the kernel that runs, as an ELF core.
//!
//! Its segments of RAM and of the kernel's image name physical addresses since 4.11, and the
//! notes have VMCOREINFO since 4.19 (fs/proc/kcore.c). It is read with pread and never mapped:
//! the file has no pages of its own. Nothing that is read is kept, for it changes.

use std::fs;
use std::io;
use std::path::Path;

use super::DumpError;
use super::file::Access;
use super::source::DumpFile;

/// Whether the path is that of the running kernel's memory, in whatever place proc is mounted.
pub(super) fn is_kcore(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    // No directory of a disk has these names side by side.
    let beside = |name: &str| path.with_file_name(name).exists();
    path.file_name().is_some_and(|name| name == "kcore") && beside("kallsyms") && beside("self")
}

/// Opens it for reading.
///
/// # Errors
/// Most often that root alone may.
pub(super) fn open(path: &Path) -> Result<DumpFile, DumpError> {
    DumpFile::open(path, Access::Read).map_err(|error| match error {
        DumpError::Io { path, error } if error.kind() == io::ErrorKind::PermissionDenied => {
            DumpError::Refused { path }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_of_that_name_is_no_running_kernel() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kcore");
        fs::write(&path, b"\x7fELF").expect("written");
        assert!(!is_kcore(&path));
        assert!(!is_kcore(&folder.path().join("none")));
        fs::write(folder.path().join("kallsyms"), b"").expect("written");
        fs::write(folder.path().join("self"), b"").expect("written");
        assert!(is_kcore(&path));
    }
}
