//! Memory and types together: the crashed kernel as an object to ask.
//!
//! Layer: above `space` and `types`. Input: an open dump, its types and symbols.
//! Output: [`Kernel`], with symbols at run-time addresses, layouts, per-CPU data, the
//! memmap and bounded walkers. Invariant: no walker returns without saying how it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thiserror::Error;

pub mod asked;
pub mod btf;
pub mod cpus;
pub mod kallsyms;
pub mod layout;
pub mod literals;
pub mod memmap;
pub mod modules;
pub mod page;
pub mod page_ext;
pub mod page_kinds;
pub(crate) mod percpu_counter;
mod pointerless;
pub mod pointers;
pub mod stack_depot;
pub mod symbolize;
#[cfg(test)]
pub(crate) mod synthetic;
pub mod tasks;
pub mod variables;
pub mod walk;
pub mod xarray;
pub mod zones;

use crate::addr::VirtAddr;
use crate::diag::Diagnostics;
use crate::dump::{Dump, VmcoreInfo};
use crate::once::get_or_make;
use crate::space::{AddressSpace, BootFacts, MemFault, SpaceError};
use crate::types::{Kallsyms, SymbolOrigin, SymbolTable, TypeDb, TypeError};
use kallsyms::OwnSymbolsError;
use layout::{Layout, LayoutError, LayoutInfo};

/// Symbols that VMCOREINFO has too. Kernels of one architecture are linked to the same `_stext`; the
/// others lie behind its code, so they differ from build to build.
const CHECKED: [&str; 3] = ["_stext", "init_uts_ns", "init_top_pgt"];

/// Why the kernel in a dump can't be asked at all.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KernelError {
    /// No address space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The type information is damaged.
    #[error(transparent)]
    Types(#[from] TypeError),
    /// A structure of an unknown shape.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A symbol that must exist does not.
    #[error("the kernel has no symbol {0}; is the vmlinux the one that crashed, and not stripped?")]
    NoSymbol(&'static str),
    /// Memory that everything hangs on is not in the dump.
    #[error("{what} can't be read: {fault}")]
    Memory {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        fault: MemFault,
    },
    /// The symbols belong to another kernel.
    #[error(
        "{name} is at {dump} in the dump, but at {symbols} by the symbols given: they are not those of the kernel that crashed"
    )]
    WrongKernel {
        /// Which symbol.
        name: &'static str,
        /// By VMCOREINFO.
        dump: VirtAddr,
        /// By the symbol table.
        symbols: VirtAddr,
    },
    /// A kernel shape that is known, but not supported yet.
    #[error("{0}")]
    Unsupported(String),
}

/// The address of a symbol at run time: with KASLR's offset, unless it is in there already.
fn run_time_address(symbols: &SymbolTable, name: &str, boot: &BootFacts) -> Option<VirtAddr> {
    Some(moved(symbols, symbols.address(name)?, boot))
}

fn moved(symbols: &SymbolTable, address: u64, boot: &BootFacts) -> VirtAddr {
    match symbols.origin() {
        SymbolOrigin::Kallsyms => VirtAddr(address),
        _ => boot.run_time(address),
    }
}

/// Whether symbols are where VMCOREINFO has them.
///
/// # Errors
/// If they are another kernel's.
pub fn check_symbols(
    info: &VmcoreInfo,
    boot: &BootFacts,
    symbols: &SymbolTable,
) -> Result<(), KernelError> {
    for name in CHECKED {
        let by_symbols = run_time_address(symbols, name, boot);
        if let (Some(dump), Some(symbols)) = (info.symbol(name), by_symbols)
            && dump != symbols
        {
            return Err(KernelError::WrongKernel {
                name,
                dump,
                symbols,
            });
        }
    }
    Ok(())
}

/// The kernel that crashed.
#[derive(Debug)]
pub struct Kernel {
    /// Its address space.
    pub space: AddressSpace,
    /// Its types.
    pub types: TypeDb,
    /// What there is to say besides the result.
    pub diag: Diagnostics,
    symbols: SymbolTable,
    /// What the dump itself has, read when it is first asked for.
    own_symbols: OnceLock<Result<Kallsyms, OwnSymbolsError>>,
    layouts: Mutex<BTreeMap<String, LayoutInfo>>,
}

impl Kernel {
    /// Puts a dump, its types and its symbols together.
    ///
    /// # Errors
    /// If VMCOREINFO is missing, or contradicts the symbols.
    pub fn new(dump: Arc<Dump>, types: TypeDb, symbols: SymbolTable) -> Result<Self, KernelError> {
        let mut space = AddressSpace::new(Arc::clone(&dump))?;
        let info = dump.notes().vmcoreinfo.clone().unwrap_or_default();
        check_symbols(&info, space.boot(), &symbols)?;
        let variable = |name: &str| {
            let address = run_time_address(&symbols, name, space.boot())?;
            space.read_u64(address).ok().filter(|v| *v != 0)
        };
        let (page_offset, vmalloc) = (variable("page_offset_base"), variable("vmalloc_base"));
        space.place_direct_map(page_offset, vmalloc);
        Ok(Self {
            space,
            types,
            diag: Diagnostics::default(),
            symbols,
            own_symbols: OnceLock::new(),
            layouts: Mutex::default(),
        })
    }

    /// With the dump's own symbols, where they have been read already.
    #[must_use]
    pub fn with_own_symbols(self, own: Option<Kallsyms>) -> Self {
        Self {
            own_symbols: own.map(Ok).map(OnceLock::from).unwrap_or_default(),
            ..self
        }
    }

    /// The symbols in the dump itself, wherever the others come from: only their order tells
    /// which of several names at one address the kernel prints.
    ///
    /// # Errors
    /// If they can't be found, read or decoded.
    pub fn own_symbols(&self) -> Result<&Kallsyms, &OwnSymbolsError> {
        let named = |name: &str| run_time_address(&self.symbols, name, self.space.boot());
        let own = get_or_make(&self.own_symbols, || kallsyms::read(&self.space, named));
        own.as_ref()
    }

    /// The dump below.
    pub fn dump(&self) -> &Dump {
        self.space.dump()
    }

    /// VMCOREINFO; `new` has checked that it is there.
    pub fn vmcoreinfo(&self) -> &VmcoreInfo {
        static EMPTY: std::sync::LazyLock<VmcoreInfo> =
            std::sync::LazyLock::new(VmcoreInfo::default);
        self.dump().notes().vmcoreinfo.as_ref().unwrap_or(&EMPTY)
    }

    /// Run-time address of a symbol.
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        if !self.symbols.tells_of(name) {
            self.diag.warn(
                "profile-incomplete",
                format!("the profile says nothing of the symbol {name}, so what needs it is missing: it was written by another version of vmleak; write it again with `vmleak info --save-profile`"),
            );
        }
        run_time_address(&self.symbols, name, self.space.boot())
    }

    /// Run-time addresses of everything that has one of `names`, with the name's index: static
    /// functions may share one.
    pub fn symbols_called(&self, names: &[&str]) -> Vec<(usize, VirtAddr)> {
        let all = self.symbols.all_called(names).into_iter();
        all.map(|(index, at)| (index, moved(&self.symbols, at, self.space.boot())))
            .collect()
    }

    /// Bytes from the symbol `name` to the next one: it is no longer than that.
    pub fn symbol_room(&self, name: &str) -> Option<u64> {
        let address = self.symbols.address(name)?;
        self.symbols.next_above(address)?.checked_sub(address)
    }

    /// Where symbols come from.
    pub fn symbols_from(&self) -> SymbolOrigin {
        self.symbols.origin()
    }

    /// The symbols of the kernel itself.
    pub fn symbol_table(&self) -> &SymbolTable {
        &self.symbols
    }

    /// As [`symbol`](Self::symbol), for one that every kernel has.
    ///
    /// # Errors
    /// If it has not.
    pub fn need_symbol(&self, name: &'static str) -> Result<VirtAddr, KernelError> {
        self.symbol(name).ok_or(KernelError::NoSymbol(name))
    }

    /// What to say where a subsystem's symbol is missing: `reason`, unless a profile says nothing of
    /// the symbol.
    pub fn lacks(&self, name: &str, reason: &str) -> KernelError {
        KernelError::Unsupported(match self.symbols.tells_of(name) {
            true => reason.to_owned(),
            false => format!(
                "the profile says nothing of the symbol {name}: write it again with `vmleak info --save-profile`"
            ),
        })
    }

    /// The 64-bit variable `name`; `None` if there is no such symbol or it can't be read.
    pub fn read_u64_symbol(&self, name: &str) -> Option<u64> {
        self.space.read_u64(self.symbol(name)?).ok()
    }

    /// The 32-bit variable `name`; `None` if there is no such symbol or it can't be read.
    pub fn read_u32_symbol(&self, name: &str) -> Option<u32> {
        self.space.read_u32(self.symbol(name)?).ok()
    }

    /// Bytes of addresses that vmalloc has.
    pub fn vmalloc_size(&self) -> u64 {
        let boot = self.space.boot();
        boot.arch.vmalloc_size(boot)
    }

    /// The addresses of vmalloc; `None` if the dump does not tell where they begin.
    pub fn vmalloc_range(&self) -> Option<std::ops::Range<VirtAddr>> {
        let start = VirtAddr(self.read_u64_symbol("vmalloc_base")?);
        Some(start..start.plus(self.vmalloc_size()))
    }

    /// Resolves a layout and keeps it for `info --layouts`.
    ///
    /// # Errors
    /// If the kernel's types do not have what the layout needs.
    pub fn layout<L: Layout>(&self) -> Result<L, LayoutError> {
        let layout = L::resolve(&self.types)?;
        let info = layout.info();
        let mut known = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = LayoutInfo {
            structure: info.structure.clone(),
            size: info.size,
            members: Vec::new(),
        };
        known
            .entry(info.structure.clone())
            .or_insert(empty)
            .add(info);
        Ok(layout)
    }

    /// All layouts resolved so far, by structure.
    pub fn layouts(&self) -> Vec<LayoutInfo> {
        let known = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}
