//! Where types and symbols come from: what was given, else vmlinux, else the dump itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{OpenError, Options, TypesFrom, release};
use crate::dump::{Dump, VmcoreInfo};
use crate::kernel::kallsyms::{self, OwnSymbolsError};
use crate::kernel::{KernelError, btf, check_release, check_symbols};
use crate::space::{AddressSpace, BootFacts};
use crate::types::{
    Btf, DebugFile, Dwarf, Kallsyms, Profile, SymbolTable, TypeDb, TypeError, TypeSource,
};

/// What types and symbols can be had from.
pub(super) struct Sources<'a> {
    pub(super) options: &'a Options,
    pub(super) info: &'a VmcoreInfo,
    pub(super) boot: &'a BootFacts,
    pub(super) dump: &'a Arc<Dump>,
    pub(super) map: Option<&'a Path>,
    pub(super) file: Option<&'a Arc<DebugFile>>,
    pub(super) profile: Option<&'a Arc<Profile>>,
    /// Where a vmlinux was looked for and is not.
    pub(super) looked: &'a [PathBuf],
}

/// What was found.
pub(super) struct Found {
    pub(super) types: TypeDb,
    pub(super) btf: Option<Arc<Btf>>,
    pub(super) symbols: SymbolTable,
    /// The dump's own symbols, if it took them.
    pub(super) own: Option<Kallsyms>,
}

impl Sources<'_> {
    /// Reads types and symbols.
    pub(super) fn read(&self) -> Result<Found, OpenError> {
        if self.options.types == TypesFrom::Dwarf && self.file.is_none() {
            return Err(self.no_vmlinux(None));
        }
        let (symbols, dwarf) = rayon::join(
            || self.symbols(),
            || {
                let dwarf = self.dwarf();
                // Everyone asks for them.
                self.dump.facts();
                dwarf
            },
        );
        let (symbols, own) = symbols.map_err(|error| self.explained(error))?;
        // Before types are looked for by them.
        check_symbols(self.info, self.boot, &symbols)
            .and_then(|()| check_release(&self.space_of_kernel()?, &symbols))
            .map_err(|error| OpenError::kernel(self.whose(), error))?;
        let (types, btf) = self
            .types(&symbols, dwarf)
            .map_err(|error| self.explained(error))?;
        Ok(Found {
            types,
            btf,
            symbols,
            own,
        })
    }

    /// Whose symbols they are, for messages.
    pub(super) fn whose(&self) -> &Path {
        match (self.profile, self.file) {
            (Some(profile), _) => profile.path(),
            (None, Some(file)) => file.path(),
            (None, None) => self.dump.path(),
        }
    }

    /// What is missing first is a vmlinux; why it can't be done without one comes behind.
    fn explained(&self, error: OpenError) -> OpenError {
        let is_the_dumps_own = matches!(
            error,
            OpenError::OwnSymbols(_) | OpenError::OwnTypes(_) | OpenError::Kernel { .. }
        );
        match self.file {
            None if is_the_dumps_own => self.no_vmlinux(Some(error)),
            _ => error,
        }
    }

    fn no_vmlinux(&self, why: Option<OpenError>) -> OpenError {
        let dump = self.dump.path().to_owned();
        let release = release(self.info);
        let looked = self.looked.to_vec();
        match self.damage() {
            Some(damage) if why.is_some() => OpenError::CutShort {
                dump,
                why: damage,
                release,
                looked,
            },
            _ => OpenError::NoVmlinux {
                dump,
                release,
                looked,
                source: why.map(Box::new),
            },
        }
    }

    /// What is missing of the dump.
    fn damage(&self) -> Option<String> {
        let facts = self.dump.facts();
        if let Some(at) = facts.ends_early {
            return Some(format!(
                "cut short, the file ends early, at byte {at}, {} of {} pages lie behind it",
                facts.missing_pages, facts.dumped_pages
            ));
        }
        if facts.missing_pages > 0 {
            return Some(format!(
                "cut short, {} of {} pages lie beyond its end",
                facts.missing_pages, facts.dumped_pages
            ));
        }
        facts.incomplete.then(|| {
            "incomplete, its writer ran out of space or a part of a split set is not given"
                .to_owned()
        })
    }

    /// A System.map that was given, else the profile's, else vmlinux's, else the dump's own, which
    /// come too.
    fn symbols(&self) -> Result<(SymbolTable, Option<Kallsyms>), OpenError> {
        if let Some(map) = self.map {
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

    fn own_symbols(&self) -> Result<Kallsyms, OpenError> {
        Ok(kallsyms::read(&self.space()?, |_| None)?)
    }

    fn space(&self) -> Result<AddressSpace, OpenError> {
        self.space_of_kernel()
            .map_err(|error| OpenError::kernel(self.dump.path(), error))
    }

    fn space_of_kernel(&self) -> Result<AddressSpace, KernelError> {
        Ok(AddressSpace::new(Arc::clone(self.dump))?)
    }

    /// The DWARF that types are to be read from, the way to its units prepared.
    fn dwarf(&self) -> Option<Result<Dwarf, TypeError>> {
        let file = self
            .file
            .filter(|_| self.profile.is_none() && !matches!(self.options.types, TypesFrom::Btf))?;
        let dwarf = Dwarf::new(Arc::clone(file));
        Some(dwarf.inspect(Dwarf::prepare))
    }

    fn types(
        &self,
        symbols: &SymbolTable,
        dwarf: Option<Result<Dwarf, TypeError>>,
    ) -> Result<(TypeDb, Option<Arc<Btf>>), OpenError> {
        if let Some(profile) = self.profile {
            let source: Box<dyn TypeSource> = Box::new(Arc::clone(profile));
            return Ok((TypeDb::new(vec![source]), None));
        }
        match (dwarf, &self.options.types) {
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
    fn btf(&self, symbols: &SymbolTable) -> Result<(TypeDb, Option<Arc<Btf>>), OpenError> {
        let in_file = self.file.map(|file| Btf::from_file(Arc::clone(file)));
        let btf = match in_file {
            Some(Err(TypeError::NoBtf { .. })) | None => {
                Arc::new(btf::read(&self.space()?, symbols)?)
            }
            Some(other) => Arc::new(other?),
        };
        let source: Box<dyn TypeSource> = Box::new(Arc::clone(&btf));
        Ok((TypeDb::new(vec![source]), Some(btf)))
    }
}
