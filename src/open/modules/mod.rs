//! Where the debug files of modules lie, and their types added to the kernel's.
//!
//! Looked at, in this order: files given, `.build-id/` of each debug directory,
//! then `lib/modules/REL` there, beside the vmlinux given and where modules are
//! installed. Directory trees are walked once per run, and only if a build-id did not
//! lead to the file.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DebugInfo, OpenError, Options, locate};
use crate::dump::VmcoreInfo;
use crate::kernel::Kernel;
use crate::kernel::btf::{self, OwnTypesError};
use crate::kernel::modules::{Module, Modules};
use crate::types::{Btf, DebugFile, Dwarf, Profile, TypeError, TypeSource, module_name_of};

impl DebugInfo {
    /// Says of each module's file that was given and is of no use here why that is so.
    pub(super) fn note_unfit(&self, kernel: &Kernel) {
        if self.given.is_empty() {
            return;
        }
        // Where they can't be read, who needs them says so.
        let Ok(modules) = Modules::read(&kernel.question()) else {
            return;
        };
        let files = ModuleFiles::new(self, kernel.vmcoreinfo());
        for (name, path) in files.given() {
            let why = match modules.find(name) {
                None => format!("no module {name} was loaded"),
                Some(module) => {
                    let file = files.open(path).ok();
                    let found = file.as_ref().and_then(DebugFile::build_id);
                    match (found, module.build_id.as_deref()) {
                        (Some(found), Some(wanted)) if !same_build_id(found, wanted) => format!(
                            "it has build-id {found}, the module {name} in the dump {wanted}; give the file of the kernel {}",
                            files.release()
                        ),
                        _ => continue,
                    }
                }
            };
            let path = path.display();
            kernel
                .diag
                .note("module-file-unused", format!("{path} is not used: {why}"));
        }
    }

    /// Adds the types of those of `names` that are loaded modules; others are built in, or not
    /// there. A module without a debug file has its own types in the dump, if the kernel keeps them.
    ///
    /// # Errors
    /// If the types of one can't be had.
    pub fn add_module_types(
        &self,
        kernel: &mut Kernel,
        modules: &Modules,
        names: &[&str],
    ) -> Result<(), OpenError> {
        let files = ModuleFiles::new(self, kernel.vmcoreinfo());
        let mut found = Vec::new();
        for module in names.iter().filter_map(|name| modules.find(name)) {
            if !in_profile(self.profile.as_deref(), module) {
                found.push(self.types_of(kernel, &files, module)?);
            }
        }
        for types in found {
            kernel.add_types(types);
        }
        Ok(())
    }

    fn types_of(
        &self,
        kernel: &Kernel,
        files: &ModuleFiles<'_>,
        module: &Module,
    ) -> Result<Box<dyn TypeSource>, OpenError> {
        // The kernel's BTF and a module's DWARF mix, but one kind is enough.
        if self.btf.is_some()
            && let Ok(Some(types)) = from_dump(kernel, &self.btf, module)
        {
            return Ok(types);
        }
        let file = match files.find(&module.name, module.build_id.as_deref()) {
            Ok(file) => file,
            Err(error @ OpenError::NoModuleFile { .. }) => {
                return match from_dump(kernel, &self.btf, module) {
                    Ok(Some(types)) => Ok(types),
                    own => Err(with_own(error, own.err())),
                };
            }
            Err(error) => return Err(error),
        };
        match Dwarf::new(Arc::new(file)) {
            Ok(types) => Ok(Box::new(types)),
            Err(source) => Err(OpenError::Module {
                name: module.name.clone(),
                source,
            }),
        }
    }
}

/// Whether the profile has the types of this build of the module.
fn in_profile(profile: Option<&Profile>, module: &Module) -> bool {
    let known = profile.and_then(|profile| profile.identity().modules.get(&module.name));
    match (known, &module.build_id) {
        (Some(Some(found)), Some(wanted)) => same_build_id(found, wanted),
        (known, _) => known.is_some(),
    }
}

/// `module.build_id` has room for the longest kind, and zeros behind a shorter one.
fn same_build_id(found: &str, wanted: &str) -> bool {
    let rest = wanted.strip_prefix(found);
    rest.is_some_and(|rest| rest.bytes().all(|digit| digit == b'0'))
}

/// The module's part of the kernel's own BTF, as the dump holds it.
fn from_dump(
    kernel: &Kernel,
    base: &Option<Arc<Btf>>,
    module: &Module,
) -> Result<Option<Box<dyn TypeSource>>, OwnTypesError> {
    let base = match base {
        Some(base) => Arc::clone(base),
        None => Arc::new(btf::read(&kernel.space, kernel.symbol_table())?),
    };
    let types = btf::read_module(kernel, &module.name, module.address, &base)?;
    Ok(types.map(|types| Box::new(types) as Box<dyn TypeSource>))
}

/// The debug file is what helps; why the dump's own types don't comes behind.
fn with_own(mut error: OpenError, own: Option<OwnTypesError>) -> OpenError {
    if let OpenError::NoModuleFile { source, .. } = &mut error {
        *source = own
            .filter(|own| !matches!(own, OwnTypesError::None))
            .map(Box::new);
    }
    error
}

/// The debug files of one kernel's modules.
#[derive(Debug)]
struct ModuleFiles<'a> {
    options: &'a Options,
    /// Files that were given.
    files: &'a [PathBuf],
    release: Option<&'a str>,
    /// Debug directories.
    roots: Vec<PathBuf>,
    /// Where `lib/modules/REL` may be.
    trees: Vec<PathBuf>,
    given: OnceCell<Vec<(String, PathBuf)>>,
    installed: OnceCell<BTreeMap<String, Vec<PathBuf>>>,
}

impl<'a> ModuleFiles<'a> {
    /// Nothing is looked for yet.
    fn new(debug: &'a DebugInfo, info: &'a VmcoreInfo) -> Self {
        let options = &debug.options;
        let release = info.release().filter(|release| !release.contains('/'));
        let roots = locate::debug_directories(options);
        let mut trees = Vec::new();
        if let Some(release) = release {
            let mut below = roots.clone();
            if !options.no_default_debug_directories {
                // The vmlinux is in ROOT/boot or in ROOT/lib/modules/REL.
                let around = debug
                    .vmlinux
                    .iter()
                    .flat_map(|path| path.ancestors().skip(1));
                below.extend(around.take(4).map(Path::to_owned));
                below.push("/".into());
            }
            for root in below {
                for inside in ["lib/modules", "usr/lib/modules"] {
                    let tree = root.join(inside).join(release);
                    if !trees.contains(&tree) {
                        trees.push(tree);
                    }
                }
            }
        }
        Self {
            options,
            files: &debug.given,
            release,
            roots,
            trees,
            given: OnceCell::new(),
            installed: OnceCell::new(),
        }
    }

    /// The debug file of the module `name` (with underscores), whose build-id is `build_id`
    /// if the dump tells.
    fn find(&self, name: &str, build_id: Option<&str>) -> Result<DebugFile, OpenError> {
        if let Some((_, path)) = self.given().iter().find(|(given, _)| given == name) {
            let file = locate::with_debug_info(self.options, self.open(path)?);
            if !file.has_debug_info() {
                return Err(OpenError::StrippedModule { path: path.clone() });
            }
            return match self.mismatch(name, &file, build_id) {
                Some(error) if !self.options.force => Err(error),
                _ => Ok(file),
            };
        }
        let mut looked = Vec::new();
        let mut other = None;
        if let Some((first, rest)) = build_id.and_then(|id| id.split_at_checked(2)) {
            for root in &self.roots {
                let path = root.join(format!(".build-id/{first}/{rest}.debug"));
                match self.usable(name, &path, build_id) {
                    Some(Ok(file)) => return Ok(file),
                    Some(Err(error)) => other = other.or(Some(error)),
                    None => looked.push(path),
                }
            }
        }
        for path in self.installed().get(name).into_iter().flatten() {
            match self.usable(name, path, build_id) {
                Some(Ok(file)) => return Ok(file),
                Some(Err(error)) => other = other.or(Some(error)),
                None => {}
            }
        }
        if let (true, Some(OpenError::OtherModuleBuild { path, .. })) = (self.options.force, &other)
        {
            return Ok(self.open(path)?);
        }
        looked.extend(self.trees.iter().cloned());
        Err(other.unwrap_or_else(|| OpenError::NoModuleFile {
            name: name.to_owned(),
            release: self.release().to_owned(),
            looked,
            source: None,
        }))
    }

    fn open(&self, path: &Path) -> Result<DebugFile, TypeError> {
        DebugFile::open_with(path, self.options.access())
    }

    /// `None` if it is no file with debug information.
    fn usable(
        &self,
        name: &str,
        path: &Path,
        build_id: Option<&str>,
    ) -> Option<Result<DebugFile, OpenError>> {
        // Looked at before it is opened: what is no regular file may block.
        let file = path.is_file().then(|| self.open(path).ok())??;
        if !file.has_debug_info() {
            return None;
        }
        Some(match self.mismatch(name, &file, build_id) {
            Some(error) => Err(error),
            None => Ok(file),
        })
    }

    fn mismatch(&self, name: &str, file: &DebugFile, build_id: Option<&str>) -> Option<OpenError> {
        let (found, wanted) = (file.build_id()?, build_id?);
        if same_build_id(found, wanted) {
            return None;
        }
        Some(OpenError::OtherModuleBuild {
            path: file.path().to_owned(),
            name: name.to_owned(),
            found: found.into(),
            wanted: wanted.into(),
            release: self.release().to_owned(),
        })
    }

    fn release(&self) -> &str {
        self.release.unwrap_or("REL")
    }

    /// The files given and the modules that they are of.
    fn given(&self) -> &[(String, PathBuf)] {
        self.given.get_or_init(|| {
            let module = |path: &PathBuf| {
                let stated = || self.open(path).ok()?.module_name();
                let name = module_name_of(path).or_else(stated)?;
                Some((name, path.clone()))
            };
            self.files.iter().filter_map(module).collect()
        })
    }

    fn installed(&self) -> &BTreeMap<String, Vec<PathBuf>> {
        self.installed.get_or_init(|| {
            let mut all = BTreeMap::new();
            for tree in &self.trees {
                collect(tree, &mut all);
            }
            all
        })
    }
}

/// Adds all modules' files below `tree`. Symbolic links to directories are not followed: `build`
/// and `source` lead out of it.
fn collect(tree: &Path, all: &mut BTreeMap<String, Vec<PathBuf>>) {
    let mut todo = vec![tree.to_owned()];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<_> = entries
            .flatten()
            .map(|entry| (entry.path(), entry.file_type()))
            .collect();
        paths.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (path, kind) in paths {
            if kind.is_ok_and(|kind| kind.is_dir()) {
                todo.push(path);
            } else if let Some(name) = module_name_of(&path) {
                all.entry(name).or_default().push(path);
            }
        }
    }
}
