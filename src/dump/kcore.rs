//! /proc/kcore: the memory of the kernel that runs, as an ELF core.
//!
//! Its segments of RAM and of the kernel's image name physical addresses since 4.11, and the
//! notes have VMCOREINFO since 4.19 (fs/proc/kcore.c). It is read with pread and never mapped:
//! the file has no pages of its own. Nothing that is read is kept, for it changes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::DumpError;
use super::file::open_regular;
use super::source::DumpFile;

/// The file, open as often as threads read it at once: what is read goes through a buffer that the
/// kernel keeps with each open file, and two readers of one would get each other's bytes.
#[derive(Debug)]
pub(crate) struct Kcore {
    path: PathBuf,
    len: u64,
    idle: Mutex<Vec<File>>,
}

impl Kcore {
    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its length by its own word: all addresses that the kernel has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills `out`; `None` if not all of it can be read.
    pub(super) fn read(&self, out: &mut [u8], offset: u64) -> Option<()> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let file = match idle {
            Some(file) => file,
            None => File::open(&self.path).ok()?,
        };
        let read = file.read_exact_at(out, offset);
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(file);
        read.ok()
    }
}

/// Whether the path is that of the running kernel's memory, in whatever place proc is mounted.
pub(super) fn is_kcore(path: &Path) -> bool {
    // The usual place means it, be it there or not.
    if path == Path::new("/proc/kcore") {
        return true;
    }
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
    let (file, len) = open_regular(path).map_err(|error| match error {
        DumpError::Io { path, error } if error.kind() == io::ErrorKind::PermissionDenied => {
            DumpError::Refused { path }
        }
        DumpError::Io { path, error } if error.kind() == io::ErrorKind::NotFound => {
            DumpError::NotShown { path }
        }
        other => other,
    })?;
    Ok(DumpFile::Live(Kcore {
        path: path.to_owned(),
        len,
        idle: Mutex::new(vec![file]),
    }))
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
