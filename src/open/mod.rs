//! The front door: from the paths of a dump and its debug files to a [`Kernel`] to ask.
//!
//! Layer: above `kernel`, below whoever asks (the command line, another program). Input:
//! [`Options`]. Output: [`Opened`]: the dump mapped, its vmlinux found and known to be its own,
//! types and symbols from the best source there is. Invariants: nothing is printed, nothing is
//! written; a file that was given is used, or named in an error, never passed over.

mod debuginfod;
mod directory;
mod error;
mod inputs;
mod kind;
mod locate;
mod modules;
mod options;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::OpenError;
pub use kind::{FileKind, kind_of};
pub use options::{Options, TypesFrom};

use crate::dump::{Dump, DumpError, VmcoreInfo};
use crate::kernel::modules::Modules;
use crate::kernel::{Kernel, KernelError};
use crate::space::boot;
use crate::types::{Btf, DebugFile, Profile};
use inputs::Inputs;
use sources::Sources;

/// A dump that is open, with all that is known of its kernel.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The kernel that crashed.
    pub kernel: Kernel,
    /// Where types of modules come from, which are read when they are asked for.
    pub debug: DebugInfo,
}

impl Opened {
    /// Adds the types of those of `names` that are loaded modules, for what a module defines: the
    /// connection table is that of `nf_conntrack`.
    ///
    /// # Errors
    /// If the types of one can't be had, neither from a debug file nor from the dump.
    pub fn add_module_types(&mut self, modules: &Modules, names: &[&str]) -> Result<(), OpenError> {
        self.debug
            .add_module_types(&mut self.kernel, modules, names)
    }
}

/// What debug information was asked for and found.
#[derive(Debug)]
pub struct DebugInfo {
    options: Options,
    /// Files of modules that were given.
    given: Vec<PathBuf>,
    /// The vmlinux that was given: modules' files may lie beside it.
    vmlinux: Option<PathBuf>,
    /// The kernel's BTF, if its types come from there: modules' parts continue it.
    btf: Option<Arc<Btf>>,
    /// The profile, if its types come from one: it may have modules' types too.
    profile: Option<Arc<Profile>>,
}

impl DebugInfo {
    /// Whether the types are those of a profile.
    pub fn is_profile(&self) -> bool {
        self.profile.is_some()
    }

    /// The profile's file, if the types are those of one.
    pub fn profile_path(&self) -> Option<&Path> {
        self.profile.as_ref().map(|profile| profile.path())
    }
}

/// Opens a dump, finds its vmlinux unless it was given, and puts both together.
///
/// # Errors
/// If a file can't be read or is none of the known kinds, the debug files are another kernel's,
/// or nothing tells the kernel's types.
pub fn open(options: Options) -> Result<Opened, OpenError> {
    let inputs = Inputs::sort_out(&options)?;
    let dump = Dump::open_with(&inputs.dump, options.cache_bytes(), options.access())?;
    let dump = match &options.reads {
        Some(reads) => dump.recording(Arc::clone(reads)),
        None => dump,
    };
    let (path, raw) = (dump.path().to_owned(), dump.is_raw());
    let ends_early = dump.facts().ends_early;
    let located = boot::locate(dump).map_err(|error| match (raw, ends_early) {
        (_, Some(at)) => OpenError::ends_early(&path, at, error.into()),
        (true, None) => DumpError::raw_without_kernel(&path).into(),
        (false, None) => OpenError::kernel(&path, error.into()),
    })?;
    let (dump, boot) = (located.dump, located.boot);
    let info = dump.notes().vmcoreinfo.clone().unwrap_or_default();
    let mut profile = match &options.types {
        TypesFrom::Profile(path) => Some(Arc::new(open_profile(&options, &info, path)?)),
        _ => None,
    };
    let found = match &inputs.vmlinux {
        Some(path) => Ok(path.clone()),
        // A profile is there to do without.
        None if profile.is_some() => Err(Vec::new()),
        None => locate::find_vmlinux(&options, &info, &path),
    };
    // That of a bundle lies beside it.
    let beside = profile_beside(&path).filter(|_| options.types == TypesFrom::Auto);
    if let (Some(beside), Err(_)) = (beside, &found) {
        profile = Some(Arc::new(open_profile(&options, &info, &beside)?));
    }
    let (file, looked) = match found {
        Ok(path) => (Some(open_vmlinux(&options, &info, &path)?), Vec::new()),
        Err(looked) => (None, looked),
    };
    let sources = Sources {
        options: &options,
        info: &info,
        boot: &boot,
        dump: &dump,
        map: inputs.map.as_deref(),
        file: file.as_ref(),
        profile: profile.as_ref(),
        looked: &looked,
    };
    let found = sources.read()?;
    let whose = sources.whose();
    let kernel = Kernel::new(Arc::clone(&dump), found.types, found.symbols).map_err(|error| {
        // What memory lacks is the dump's, and no fault of the file with the symbols.
        match error {
            KernelError::Memory { .. } => match ends_early {
                Some(at) => OpenError::ends_early(dump.path(), at, error),
                None => OpenError::kernel(dump.path(), error),
            },
            other => OpenError::kernel(whose, other),
        }
    })?;
    if let Some(own) = &found.own {
        kernel.diag.assume(
            "kallsyms_encoding",
            own.encoding.clone(),
            "the one of the known encodings by which _stext is where VMCOREINFO has it",
        );
    }
    if let Some(assumed) = located.assumed {
        let how = assumed.how;
        kernel.diag.assume(assumed.name, assumed.value, how);
    }
    if let Some(taken) = inputs.taken {
        kernel.diag.note("dump-of-directory", taken);
    }
    let debug = DebugInfo {
        given: inputs.modules,
        vmlinux: inputs.vmlinux,
        btf: found.btf,
        profile,
        options,
    };
    debug.note_unfit(&kernel);
    Ok(Opened {
        kernel: kernel.with_own_symbols(found.own),
        debug,
    })
}

/// `vmcore.profile` of `vmcore`, if there is one.
fn profile_beside(dump: &Path) -> Option<PathBuf> {
    let mut path = dump.as_os_str().to_owned();
    path.push(".profile");
    Some(PathBuf::from(path)).filter(|path| path.is_file())
}

fn open_vmlinux(
    options: &Options,
    info: &VmcoreInfo,
    path: &Path,
) -> Result<Arc<DebugFile>, OpenError> {
    let file = DebugFile::open_with(path, options.access())?;
    match (info.build_id(), file.build_id()) {
        (Some(wanted), Some(found)) if wanted != found && !options.force => {
            Err(OpenError::OtherBuild {
                path: path.to_owned(),
                found: found.to_owned(),
                wanted: wanted.to_owned(),
                release: release(info),
            })
        }
        _ => Ok(Arc::new(locate::with_debug_info(options, file))),
    }
}

/// A profile is keyed by the build-id, and by the release where a dump has none (before 5.9).
fn open_profile(options: &Options, info: &VmcoreInfo, path: &Path) -> Result<Profile, OpenError> {
    if let Some(what) = inputs::no_file(path) {
        return Err(OpenError::NoDebugFile {
            path: path.to_owned(),
            what,
            option: "--types profile: takes a file that `vmleak info --save-profile` wrote",
        });
    }
    let profile = Profile::open(path)?;
    let whose = profile.identity();
    let (kind, found, wanted) = match (info.build_id(), whose.build_id.as_deref()) {
        (Some(wanted), Some(found)) => ("build-id", Some(found), Some(wanted)),
        _ => ("release", whose.release.as_deref(), info.release()),
    };
    if found != wanted && !options.force {
        return Err(OpenError::OtherProfile {
            path: path.to_owned(),
            kind,
            found: found.unwrap_or("unknown").to_owned(),
            wanted: wanted.unwrap_or("unknown").to_owned(),
            release: release(info),
        });
    }
    Ok(profile)
}

fn release(info: &VmcoreInfo) -> String {
    info.release().unwrap_or("that kernel").to_owned()
}
