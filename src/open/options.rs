//! What is to be opened, and how.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::dump::{Access, DEFAULT_CACHE_BYTES, Reads};

/// The files of one dump, and how they are read.
///
/// ```no_run
/// let opened = vmleak::open(vmleak::open::Options::new(["vmcore", "vmlinux"]))?;
/// println!("{:?}", opened.kernel.vmcoreinfo().release());
/// # Ok::<(), vmleak::open::OpenError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// The dump (the parts of a split set, or a directory of dumps) and, in any order, its
    /// vmlinux: they are told apart by what is in them.
    pub files: Vec<PathBuf>,
    /// More debug files: modules', a vmlinux, a System.map.
    pub symbols: Vec<PathBuf>,
    /// Directories to look for debug files in, before the usual ones.
    pub debug_directories: Vec<PathBuf>,
    /// Look in no directory that is not named.
    pub no_default_debug_directories: bool,
    /// Where types come from.
    pub types: TypesFrom,
    /// Go on although the debug files are another kernel's.
    pub force: bool,
    /// Read the files instead of mapping them.
    pub no_mmap: bool,
    /// Memory that decoded pages may take, in bytes; [`DEFAULT_CACHE_BYTES`] if it is not said.
    pub max_memory: Option<u64>,
    /// Learns what is read of the dump, for a smaller one.
    pub reads: Option<Arc<Reads>>,
    /// Ask the servers of DEBUGINFOD_URLS for a vmlinux that lies nowhere here, by the program
    /// `debuginfod-find`, which keeps it in its cache. It is the only thing that uses a network.
    pub debuginfod: bool,
}

impl Options {
    /// The dump and, if it is not to be looked for, its vmlinux.
    pub fn new<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Self {
        Self {
            files: files.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// How files are read.
    pub(crate) fn access(&self) -> Access {
        match self.no_mmap {
            true => Access::Read,
            false => Access::Map,
        }
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        self.max_memory.unwrap_or(DEFAULT_CACHE_BYTES)
    }
}

/// Sources of types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypesFrom {
    /// DWARF where a vmlinux is given or found, else BTF.
    #[default]
    Auto,
    /// DWARF of vmlinux.
    Dwarf,
    /// BTF of vmlinux, else of the dump itself.
    Btf,
    /// A profile, with the symbols that it holds.
    Profile(PathBuf),
}

impl FromStr for TypesFrom {
    type Err = String;

    /// As `--types` takes it: `auto`, `dwarf`, `btf` or `profile:FILE`.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.split_once(':')) {
            ("auto", _) => Ok(Self::Auto),
            ("dwarf", _) => Ok(Self::Dwarf),
            ("btf", _) => Ok(Self::Btf),
            (_, Some(("profile", file))) if !file.is_empty() => Ok(Self::Profile(file.into())),
            _ => Err("it is auto, dwarf, btf or profile:FILE".to_owned()),
        }
    }
}
