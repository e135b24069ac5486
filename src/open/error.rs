//! Why a dump can't be opened.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::dump::DumpError;
use crate::kernel::KernelError;
use crate::kernel::btf::OwnTypesError;
use crate::kernel::kallsyms::OwnSymbolsError;
use crate::types::TypeError;

/// Why a dump can't be opened, or the types of a module can't be had. Each names the file and,
/// where there is one, the remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The dump itself.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// A debug file.
    #[error(transparent)]
    Types(#[from] TypeError),
    /// The symbols that the dump carries.
    #[error(transparent)]
    OwnSymbols(#[from] OwnSymbolsError),
    /// The types that the dump carries.
    #[error(transparent)]
    OwnTypes(#[from] OwnTypesError),
    /// Dump, types and symbols do not fit together.
    #[error("{}", path.display())]
    Kernel {
        /// Where the symbols come from.
        path: PathBuf,
        /// What does not fit.
        source: Box<KernelError>,
    },
    /// The dump is cut short, so that the kernel is not found in it.
    #[error("{}: {}", path.display(), crate::dump::ends_early(*at))]
    EndsEarly {
        /// The dump.
        path: PathBuf,
        /// Bytes of the file.
        at: u64,
        /// What is not found.
        source: Box<KernelError>,
    },
    /// Only debug files were given.
    #[error("{}: no dump, only a debug file; usage: vmleak COMMAND VMCORE [VMLINUX]", path.display())]
    NoDump {
        /// One of them.
        path: PathBuf,
    },
    /// What was given for a file with symbols or types is none.
    #[error("{}: {what}; {option}", path.display())]
    NoDebugFile {
        /// What was given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// What the option takes.
        option: &'static str,
    },
    /// Which of the two is meant?
    #[error("two {what} given: {} and {}{hint}", first.display(), second.display())]
    Twice {
        /// What they are.
        what: &'static str,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// A file beside the dump that is of no known kind.
    #[error(
        "{}: neither a dump nor a debug file: starts with {start}; what goes with a dump is the kernel's vmlinux with debug information, a module's .ko.debug or a System.map", path.display()
    )]
    UnknownFile {
        /// The file.
        path: PathBuf,
        /// Its first bytes, printable.
        start: String,
    },
    /// A vmlinux of another kernel.
    #[error("{}: build-id {found}, but the kernel that crashed has {wanted}; give the vmlinux of {release} (--force to go on all the same)", path.display())]
    OtherBuild {
        /// The file.
        path: PathBuf,
        /// Its build-id.
        found: String,
        /// That of the dump.
        wanted: String,
        /// Of the kernel that crashed.
        release: String,
    },
    /// A profile of another kernel.
    #[error("{}: a profile of {kind} {found}, but the kernel that crashed has {wanted}; give the one of {release} (--force to go on all the same)", path.display())]
    OtherProfile {
        /// The file.
        path: PathBuf,
        /// `build-id` or `release`.
        kind: &'static str,
        /// Of the profile.
        found: String,
        /// Of the dump.
        wanted: String,
        /// Of the kernel that crashed.
        release: String,
    },
    /// No vmlinux, and the dump does not do without: why not comes behind.
    #[error("{}: no vmlinux with debug information for {release} was found: {}", dump.display(), vmlinux_remedy(looked))]
    NoVmlinux {
        /// The dump.
        dump: PathBuf,
        /// Of the kernel that crashed.
        release: String,
        /// Places looked at.
        looked: Vec<PathBuf>,
        /// Why the dump's own types and symbols don't serve.
        source: Option<Box<OpenError>>,
    },
    /// No vmlinux, and what stands for it is in the part of the dump that is missing.
    #[error("{}: {why}: copy it again; what it holds can be read with the vmlinux of {release}, which was not found{}", dump.display(), places(looked))]
    CutShort {
        /// The dump.
        dump: PathBuf,
        /// What is missing of it.
        why: String,
        /// Of the kernel that crashed.
        release: String,
        /// Places looked at.
        looked: Vec<PathBuf>,
    },
    /// A module without debug file and without types in the dump.
    #[error(
        "no debug file of the module {name} was found: install the kernel's debug package (linux-image-{release}-dbg on Debian, kernel-debuginfo on Fedora and RHEL) or give the file with -s (looked in {} places)",
        looked.len()
    )]
    NoModuleFile {
        /// The module.
        name: String,
        /// Of the kernel that crashed.
        release: String,
        /// Places looked at.
        looked: Vec<PathBuf>,
        /// Why the dump's own types of it don't serve.
        source: Option<Box<OwnTypesError>>,
    },
    /// A module's file of another build.
    #[error(
        "{}: build-id {found}, but the module {name} in the dump has {wanted}; give the file of the kernel {release} with -s (--force to go on all the same)",
        path.display()
    )]
    OtherModuleBuild {
        /// The file.
        path: PathBuf,
        /// The module.
        name: String,
        /// Build-id of the file.
        found: Box<str>,
        /// Build-id in the dump.
        wanted: Box<str>,
        /// Of the kernel that crashed.
        release: String,
    },
    /// A module's file that was given, and is of no use.
    #[error(
        "{}: has no debug information: this is the stripped module; give the one of the kernel's debug package",
        path.display()
    )]
    StrippedModule {
        /// The file.
        path: PathBuf,
    },
    /// The debug information of a module.
    #[error("module {name}")]
    Module {
        /// The module.
        name: String,
        /// What is wrong.
        source: TypeError,
    },
}

impl OpenError {
    pub(super) fn kernel(path: &Path, source: KernelError) -> Self {
        Self::Kernel {
            path: path.to_owned(),
            source: Box::new(source),
        }
    }

    pub(super) fn ends_early(path: &Path, at: u64, source: KernelError) -> Self {
        Self::EndsEarly {
            path: path.to_owned(),
            at,
            source: Box::new(source),
        }
    }

    /// The places where a file was looked for that was not found.
    pub fn looked(&self) -> &[PathBuf] {
        match self {
            Self::NoVmlinux { looked, .. }
            | Self::CutShort { looked, .. }
            | Self::NoModuleFile { looked, .. } => looked,
            _ => &[],
        }
    }
}

fn vmlinux_remedy(looked: &[PathBuf]) -> String {
    match looked.len() {
        0 => "give the file (--no-default-debug-directories looks nowhere)".to_owned(),
        n => format!(
            "install the kernel's debug package or give the file (looked in {n} places, -v lists them)"
        ),
    }
}

fn places(looked: &[PathBuf]) -> String {
    match looked.len() {
        0 => String::new(),
        n => format!(" (looked in {n} places, -v lists them)"),
    }
}
