//! Which of the files given is the dump, and what the others are.

use std::path::{Path, PathBuf};

use super::kind::{FileKind, kind_of, printable_start};
use super::{OpenError, Options, directory};
use crate::dump::{self, Dump, DumpError};
use crate::types::module_name_of;

/// The files of one run, sorted out.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// The dump: one file, or the parts of a split set.
    pub(super) dump: Vec<PathBuf>,
    /// Said of a dump that was chosen from a directory.
    pub(super) taken: Option<String>,
    /// The vmlinux, if one was given.
    pub(super) vmlinux: Option<PathBuf>,
    /// The System.map, if one was given.
    pub(super) map: Option<PathBuf>,
    /// Files of modules.
    pub(super) modules: Vec<PathBuf>,
}

impl Inputs {
    /// Tells dumps from debug files by what is in them, whatever their order.
    pub(super) fn sort_out(options: &Options) -> Result<Self, OpenError> {
        let mut inputs = Self::default();
        let mut unknown_files = Vec::new();
        for path in &options.files {
            if path.is_dir() {
                let taken = directory::newest_complete(path, options)?;
                inputs.dump.extend(taken.files);
                inputs.taken = Some(taken.note);
                continue;
            }
            match kind_of(path) {
                FileKind::Dump => inputs.dump.push(path.clone()),
                FileKind::Unknown => unknown_files.push(path),
                kind => inputs.add_debug_file(path, kind, options)?,
            }
        }
        for path in &options.symbols {
            if let Some(what) = no_file(path) {
                return Err(OpenError::NoDebugFile {
                    path: path.clone(),
                    what,
                    option: "-s takes the kernel's vmlinux with debug information, a module's .ko.debug or a System.map",
                });
            }
            inputs.add_debug_file(path, kind_of(path), options)?;
        }
        for path in &options.debug_directories {
            if !path.is_dir() {
                return Err(OpenError::NoDebugFile {
                    path: path.clone(),
                    what: match path.exists() {
                        true => "is no directory",
                        false => "does not exist",
                    },
                    option: "--debug-directory takes where debug packages are installed or unpacked",
                });
            }
        }
        for path in unknown_files {
            // Beside debug files it may be memory as it is, and alone opening it says what is
            // wrong with it.
            let may_be_dump = options.files.len() == 1 || dump::may_be_raw(path);
            let beside_layout = matches!(&*inputs.dump, [one] if dump::is_vmware_layout(one));
            match beside_layout || (may_be_dump && inputs.dump.is_empty()) {
                true => inputs.dump.push(path.clone()),
                false => return Err(unknown(path, options)),
            }
        }
        if inputs.dump.is_empty() {
            let debug = [&inputs.vmlinux, &inputs.map].into_iter().flatten();
            let path = debug.chain(&inputs.modules).next();
            let path = path.cloned().unwrap_or_default();
            return Err(OpenError::NoDump { path });
        }
        Ok(inputs)
    }

    fn add_debug_file(
        &mut self,
        path: &Path,
        kind: FileKind,
        options: &Options,
    ) -> Result<(), OpenError> {
        let place = match kind {
            FileKind::Vmlinux if module_name_of(path).is_none() => &mut self.vmlinux,
            FileKind::SystemMap => &mut self.map,
            FileKind::Module | FileKind::Vmlinux => {
                self.modules.push(path.to_owned());
                return Ok(());
            }
            FileKind::Dump | FileKind::Unknown => return Err(unknown(path, options)),
        };
        let Some(first) = place.replace(path.to_owned()).filter(|first| first != path) else {
            return Ok(());
        };
        let (what, hint) = match kind {
            FileKind::SystemMap => ("System.maps", ""),
            _ => ("debug files", "; give modules' with -s"),
        };
        Err(OpenError::Twice {
            what,
            first,
            second: path.to_owned(),
            hint,
        })
    }
}

/// What is there in place of a file that has something in it; what is not there at all is said
/// when it is opened.
pub(super) fn no_file(path: &Path) -> Option<&'static str> {
    let meta = path.metadata().ok()?;
    if meta.is_dir() {
        Some("is a directory")
    } else if !meta.is_file() {
        Some("is no regular file")
    } else {
        (meta.len() == 0).then_some("is empty")
    }
}

/// Why a file is of no use beside a dump.
fn unknown(path: &Path, options: &Options) -> OpenError {
    let alone = [path.to_owned()];
    match Dump::open_with(&alone, 0, options.access()) {
        // Not there, empty, a pipe, or packed so that it has to be unpacked first.
        Err(error) if !matches!(error, DumpError::UnknownFormat { .. }) => error.into(),
        _ => OpenError::UnknownFile {
            path: path.to_owned(),
            start: printable_start(path),
        },
    }
}
