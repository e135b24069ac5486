//! From the command line to a [`Kernel`]: the dump, where its types and symbols come
//! from, the check that they belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use vmleak::dump::{DEFAULT_CACHE_BYTES, Dump, VmcoreInfo};
use vmleak::kernel::kallsyms::{self, OwnSymbolsError};
use vmleak::kernel::{Kernel, btf, check_symbols};
use vmleak::render;
use vmleak::space::{AddressSpace, BootFacts};
use vmleak::types::{
    Btf, DebugFile, Dwarf, Kallsyms, Profile, SymbolTable, TypeDb, TypeError, TypeSource,
    is_system_map,
};

use super::args::{Common, TypesFrom};
use super::locate;

/// What every command opens.
pub(crate) struct Opened {
    pub(crate) kernel: Kernel,
    /// The kernel's BTF, if its types come from there: modules' parts continue it.
    pub(crate) btf: Option<Arc<Btf>>,
    /// The profile, if its types come from one: it may have modules' types too.
    pub(crate) profile: Option<Arc<Profile>>,
}

/// Opens everything that a command needs.
pub(crate) fn kernel(common: &Common) -> Result<Opened> {
    let inputs = locate::sort_out(common)?;
    let cache = common.max_memory.unwrap_or(DEFAULT_CACHE_BYTES);
    let dump = Arc::new(Dump::open_with(&inputs.dump, cache, common.access())?);
    let boot = BootFacts::find(&dump).with_context(|| dump.path().display().to_string())?;
    let info = dump.notes().vmcoreinfo.clone().with_context(|| {
        format!(
            "{}: no VMCOREINFO in the dump, so its addresses can't be resolved; take it with kdump, or with QEMU's vmcoreinfo device",
            dump.path().display()
        )
    })?;
    let profile = match &common.types {
        TypesFrom::Profile(path) => Some(Arc::new(open_profile(common, &info, path)?)),
        _ => None,
    };
    let vmlinux = match inputs.vmlinux {
        Some(path) => Ok(path),
        // A profile is there to do without.
        None if profile.is_some() => Err(Vec::new()),
        None => locate::find_vmlinux(common, &info),
    };
    let found = match vmlinux {
        Ok(path) => Ok(open_vmlinux(common, &info, &path)?),
        Err(looked) => Err(looked),
    };
    let file = found.as_ref().ok();
    let whose = match (&profile, file) {
        (Some(profile), _) => profile.path(),
        (None, Some(file)) => file.path(),
        (None, None) => dump.path(),
    };
    let whose = whose.display().to_string();

    let sources = Sources {
        common,
        info: &info,
        dump: &dump,
        file,
        profile: profile.as_ref(),
    };
    if common.types == TypesFrom::Dwarf
        && let Err(looked) = &found
    {
        bail!("{}", sources.no_vmlinux(looked));
    }
    let (symbols, dwarf) = rayon::join(
        || sources.symbols(),
        || {
            let dwarf = sources.dwarf();
            // Every command asks for them.
            dump.facts();
            dwarf
        },
    );
    let (symbols, own) = match symbols {
        Ok(found) => found,
        Err(error) => match &found {
            Ok(_) => return Err(error),
            // What is missing first is a vmlinux; why it can't be done without one comes behind.
            Err(looked) => return Err(error.context(sources.no_vmlinux(looked))),
        },
    };
    check_symbols(&info, &boot, &symbols).with_context(|| whose.clone())?;
    let (types, btf) = match (sources.types(&symbols, dwarf), &found) {
        (Err(error), Err(looked)) => return Err(error.context(sources.no_vmlinux(looked))),
        (other, _) => other?,
    };
    let kernel = Kernel::new(Arc::clone(&dump), types, symbols).with_context(|| whose)?;
    if let Some(own) = &own {
        kernel.diag.assume(
            "kallsyms_encoding",
            own.encoding.clone(),
            "the one of the known encodings by which _stext is where VMCOREINFO has it",
        );
    }
    let kernel = kernel.with_own_symbols(own);
    Ok(Opened {
        kernel,
        btf,
        profile,
    })
}

fn open_vmlinux(common: &Common, info: &VmcoreInfo, path: &Path) -> Result<Arc<DebugFile>> {
    let file = Arc::new(DebugFile::open_with(path, common.access())?);
    match (info.build_id(), file.build_id()) {
        (Some(wanted), Some(found)) if wanted != found && !common.force => bail!(
            "{}: build-id {found}, but the kernel that crashed has {wanted}; give the vmlinux of {} (--force to go on all the same)",
            path.display(),
            info.release().unwrap_or("that kernel")
        ),
        _ => Ok(file),
    }
}

/// A profile is keyed by the build-id, and by the release where a dump has none (before 5.9).
fn open_profile(common: &Common, info: &VmcoreInfo, path: &Path) -> Result<Profile> {
    let profile = Profile::open(path)?;
    let whose = profile.identity();
    let (kind, found, wanted) = match (info.build_id(), whose.build_id.as_deref()) {
        (Some(wanted), Some(found)) => ("build-id", Some(found), Some(wanted)),
        _ => ("release", whose.release.as_deref(), info.release()),
    };
    if found != wanted && !common.force {
        bail!(
            "{}: a profile of {kind} {}, but the kernel that crashed has {}; give the one of {} (--force to go on all the same)",
            path.display(),
            found.unwrap_or("unknown"),
            wanted.unwrap_or("unknown"),
            info.release().unwrap_or("that kernel")
        );
    }
    Ok(profile)
}

/// What types and symbols can be had from.
struct Sources<'a> {
    common: &'a Common,
    info: &'a VmcoreInfo,
    dump: &'a Arc<Dump>,
    file: Option<&'a Arc<DebugFile>>,
    profile: Option<&'a Arc<Profile>>,
}

impl Sources<'_> {
    fn no_vmlinux(&self, looked: &[PathBuf]) -> String {
        if self.common.verbose > 0 {
            for path in looked {
                let path = render::printable(&path.display().to_string());
                eprintln!("vmleak: no {path}");
            }
        }
        let remedy = match looked.len() {
            0 => "give the file (--no-default-debug-directories looks nowhere)".to_owned(),
            n => format!(
                "install the kernel's debug package or give the file (looked in {n} places, -v lists them)"
            ),
        };
        format!(
            "{}: no vmlinux with debug information for {} was found: {remedy}",
            self.dump.path().display(),
            self.info.release().unwrap_or("this kernel"),
        )
    }

    /// A System.map that was given, else the profile's, else vmlinux's, else the dump's own, which
    /// come too.
    fn symbols(&self) -> Result<(SymbolTable, Option<Kallsyms>)> {
        let maps = &self.common.symbols;
        if let Some(map) = maps.iter().find(|path| is_system_map(path)) {
            return Ok((SymbolTable::from_system_map(map)?, None));
        }
        if let Some(symbols) = self.profile.and_then(|profile| profile.symbols()) {
            return Ok((symbols, None));
        }
        let in_file = self.file.map(|file| SymbolTable::from_elf(file));
        let own = match in_file {
            Some(Ok(symbols)) => return Ok((symbols, None)),
            Some(Err(error @ TypeError::NoDebugInfo { .. })) => {
                self.own_symbols().map_err(|_| error)?
            }
            Some(Err(error)) => return Err(error.into()),
            None => self.own_symbols()?,
        };
        let symbols = own.symbols().map_err(OwnSymbolsError::from)?;
        Ok((symbols, Some(own)))
    }

    fn own_symbols(&self) -> Result<Kallsyms> {
        let space = AddressSpace::new(Arc::clone(self.dump))?;
        Ok(kallsyms::read(&space, |_| None)?)
    }

    /// The DWARF that types are to be read from, the way to its units prepared.
    fn dwarf(&self) -> Option<Result<Dwarf, TypeError>> {
        let file = self
            .file
            .filter(|_| self.profile.is_none() && !matches!(self.common.types, TypesFrom::Btf))?;
        let dwarf = Dwarf::new(Arc::clone(file));
        Some(dwarf.inspect(Dwarf::prepare))
    }

    fn types(
        &self,
        symbols: &SymbolTable,
        dwarf: Option<Result<Dwarf, TypeError>>,
    ) -> Result<(TypeDb, Option<Arc<Btf>>)> {
        if let Some(profile) = self.profile {
            let source: Box<dyn TypeSource> = Box::new(Arc::clone(profile));
            return Ok((TypeDb::new(vec![source]), None));
        }
        match (dwarf, &self.common.types) {
            (Some(Ok(dwarf)), _) => {
                let source: Box<dyn TypeSource> = Box::new(dwarf);
                Ok((TypeDb::new(vec![source]), None))
            }
            // A stripped vmlinux may have BTF yet; if not, what it lacks is said of its DWARF.
            (Some(Err(error @ TypeError::NoDebugInfo { .. })), TypesFrom::Auto) => {
                self.btf(symbols).map_err(|_| error.into())
            }
            (Some(Err(error)), _) => Err(error.into()),
            (None, _) => self.btf(symbols),
        }
    }

    /// Of vmlinux, else the dump's own.
    fn btf(&self, symbols: &SymbolTable) -> Result<(TypeDb, Option<Arc<Btf>>)> {
        let in_file = self.file.map(|file| Btf::from_file(Arc::clone(file)));
        let btf = match in_file {
            Some(Err(TypeError::NoBtf { .. })) | None => own_types(self.dump, symbols)?,
            Some(other) => Arc::new(other?),
        };
        let source: Box<dyn TypeSource> = Box::new(Arc::clone(&btf));
        Ok((TypeDb::new(vec![source]), Some(btf)))
    }
}

fn own_types(dump: &Arc<Dump>, symbols: &SymbolTable) -> Result<Arc<Btf>> {
    let space = AddressSpace::new(Arc::clone(dump))?;
    Ok(Arc::new(btf::read(&space, symbols)?))
}
