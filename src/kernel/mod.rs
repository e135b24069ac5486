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
mod fit;
pub mod formats;
pub mod iomem;
pub mod kallsyms;
mod known;
pub mod layout;
pub(crate) mod literals;
pub mod memmap;
pub mod modules;
pub mod namespaces;
pub mod page;
pub mod page_blocks;
pub(crate) mod page_ext;
pub mod page_kinds;
pub mod page_zone;
pub(crate) mod percpu_chunks;
pub(crate) mod percpu_counter;
mod pointerless;
pub mod pointers;
pub mod processes;
mod registers;
pub mod shapes;
pub(crate) mod stack_depot;
pub mod symbolize;
#[cfg(test)]
pub(crate) mod synthetic;
pub mod tasks;
pub(crate) mod variables;
pub mod walk;
pub mod zones;

use crate::addr::{Pfn, VirtAddr};
use crate::diag::Diagnostics;
use crate::dump::{Dump, VmcoreInfo};
use crate::once::get_or_make;
use crate::space::{AddressSpace, BootFacts, MemFault, SpaceError};
use crate::types::{Kallsyms, SymbolOrigin, SymbolTable, TypeDb, TypeError, TypeSource};
pub use fit::{check_release, check_symbols};
use kallsyms::OwnSymbolsError;
pub use known::Known;
use layout::{Layout, LayoutError, LayoutInfo};

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
    /// The symbols belong to another kernel than the one that was found.
    #[error(
        "{name} is at {at} by the symbols given, but there is no name of the kernel {release} that lies in memory: they are not its symbols"
    )]
    OtherRelease {
        /// Which symbol.
        name: &'static str,
        /// Where it should be.
        at: VirtAddr,
        /// Of the kernel that was found.
        release: String,
    },
    /// The dump is a bundle, and this reads more than what it was made for.
    #[error(
        "this dump is a bundle: it holds what {commands} read, and {what} reads more; {remedy}"
    )]
    NotInBundle {
        /// What was asked.
        what: &'static str,
        /// The commands that it was made for.
        commands: String,
        /// What to do.
        remedy: &'static str,
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

/// The kernel that crashed, as one question sees it: what is warned of, or missing, concerns the
/// answer to that question alone.
#[derive(Debug)]
pub struct Kernel {
    /// Its address space, which tells `diag` of what is missing.
    pub space: AddressSpace,
    /// Its types.
    pub types: Arc<TypeDb>,
    /// What there is to say besides the answer.
    pub diag: Arc<Diagnostics>,
    shared: Arc<Shared>,
}

/// What all questions have together.
#[derive(Debug)]
struct Shared {
    symbols: SymbolTable,
    /// What the dump itself has, read when it is first asked for.
    own_symbols: OnceLock<Result<Kallsyms, OwnSymbolsError>>,
    layouts: Mutex<BTreeMap<String, LayoutInfo>>,
}

impl Kernel {
    /// Puts a dump, its types and its symbols together.
    ///
    /// # Errors
    /// If VMCOREINFO is missing, or contradicts the symbols, or the dump lacks what tells where
    /// memory is mapped.
    pub fn new(dump: Arc<Dump>, types: TypeDb, symbols: SymbolTable) -> Result<Self, KernelError> {
        let mut space = AddressSpace::new(Arc::clone(&dump))?;
        let info = dump.notes().vmcoreinfo.clone().unwrap_or_default();
        check_symbols(&info, space.boot(), &symbols)?;
        check_release(&space, &symbols)?;
        // By these all else is read: a default in place of one that is missing would be a guess.
        let variable = |name: &'static str| {
            let address = run_time_address(&symbols, name, space.boot());
            let value = Known::of(address.map(|at| space.read_u64(at))).there(name)?;
            Ok::<_, KernelError>(value.filter(|v| *v != 0))
        };
        let (page_offset, vmalloc) = (variable("page_offset_base")?, variable("vmalloc_base")?);
        let page_offset = match page_offset {
            Some(start) => Some(start),
            None if !space.boot().arch.direct_map_has_moved() => None,
            None => {
                let boot = space.boot();
                let ends = (variable("high_memory")?, variable("max_pfn")?);
                let (high, pages) = (ends.0.unwrap_or(0), ends.1.unwrap_or(0));
                let end = Pfn(pages).start(boot.page_shift.value);
                let start = boot.arch.direct_map_by_end(VirtAddr(high), end);
                start.map(|start| start.0)
            }
        };
        space.place_direct_map(page_offset, vmalloc);
        let diag = Arc::<Diagnostics>::default();
        Ok(Self {
            space: space.telling(Arc::clone(&diag)),
            types: Arc::new(types),
            diag,
            shared: Arc::new(Shared {
                symbols,
                own_symbols: OnceLock::new(),
                layouts: Mutex::default(),
            }),
        })
    }

    /// With the dump's own symbols, where they have been read already.
    #[must_use]
    pub fn with_own_symbols(self, own: Option<Kallsyms>) -> Self {
        if let Some(own) = own {
            // Nobody has asked for them before: there is one who has read them.
            let _ = self.shared.own_symbols.set(Ok(own));
        }
        self
    }

    /// The same kernel for another question, which begins with what is said so far and of which
    /// this one learns nothing.
    #[must_use]
    pub fn question(&self) -> Self {
        let diag = Arc::new(Diagnostics::clone(&self.diag));
        Self {
            space: self.space.telling(Arc::clone(&diag)),
            types: Arc::clone(&self.types),
            diag,
            shared: Arc::clone(&self.shared),
        }
    }

    /// What `ask` finds out by a question of its own, whose `diag` holds what was said when the dump
    /// was opened and what concerns this answer; this kernel learns of it at the end.
    pub fn ask<T>(&self, ask: impl FnOnce(&Self) -> T) -> T {
        let question = self.question();
        let answer = ask(&question);
        self.diag.absorb(&question.diag);
        answer
    }

    /// Adds types behind those there are, a module's for one.
    pub fn add_types(&mut self, source: Box<dyn TypeSource>) {
        Arc::make_mut(&mut self.types).add_source(source);
    }

    /// The symbols in the dump itself, wherever the others come from: only their order tells
    /// which of several names at one address the kernel prints.
    ///
    /// # Errors
    /// If they can't be found, read or decoded.
    pub fn own_symbols(&self) -> Result<&Kallsyms, &OwnSymbolsError> {
        let shared = &*self.shared;
        let boot = self.space.boot();
        let named = |name: &str| run_time_address(&shared.symbols, name, boot);
        // Where they lie is searched for, and that they are not found is told to who asks.
        let read = || kallsyms::read(&self.space.quiet(), named);
        let own = get_or_make(&shared.own_symbols, read);
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
        if !self.shared.symbols.tells_of(name) {
            self.diag.warn(
                "profile-incomplete",
                format!("the profile says nothing of the symbol {name}, so what needs it is missing: it was written by another version of vmleak; write it again with `vmleak info --save-profile`"),
            );
        }
        run_time_address(&self.shared.symbols, name, self.space.boot())
    }

    /// Where symbols come from.
    pub fn symbols_from(&self) -> SymbolOrigin {
        self.shared.symbols.origin()
    }

    /// The symbols of the kernel itself.
    pub fn symbol_table(&self) -> &SymbolTable {
        &self.shared.symbols
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
        KernelError::Unsupported(match self.shared.symbols.tells_of(name) {
            true => reason.to_owned(),
            false => format!(
                "the profile says nothing of the symbol {name}: write it again with `vmleak info --save-profile`"
            ),
        })
    }

    /// The 64-bit variable `name`.
    pub fn u64_of(&self, name: &str) -> Known<u64> {
        Known::of(self.symbol(name).map(|at| self.space.read_u64(at)))
    }

    /// The 32-bit variable `name`.
    pub fn u32_of(&self, name: &str) -> Known<u32> {
        Known::of(self.symbol(name).map(|at| self.space.read_u32(at)))
    }

    /// The variable `name` of one byte, as whether it is set.
    pub fn bool_of(&self, name: &str) -> Known<bool> {
        let read = |at| self.space.read_bytes(at, 1);
        Known::of(self.symbol(name).map(read)).map(|byte| byte.first() != Some(&0))
    }

    /// Bytes of addresses that vmalloc has.
    pub fn vmalloc_size(&self) -> u64 {
        let boot = self.space.boot();
        boot.arch.vmalloc_size(boot)
    }

    /// The addresses of vmalloc; `None` if the dump does not tell where they begin.
    pub fn vmalloc_range(&self) -> Option<std::ops::Range<VirtAddr>> {
        let boot = self.space.boot();
        if let Some(known) = &boot.vmalloc {
            return Some(known.value.clone());
        }
        let start = match self.u64_of("vmalloc_base") {
            Known::Value(start) => VirtAddr(start),
            Known::Absent => boot.arch.vmalloc_default(boot)?,
            Known::Missing(_) => return None,
        };
        Some(start..start.plus(self.vmalloc_size()))
    }

    /// Resolves a layout and keeps it for `info --layouts`.
    ///
    /// # Errors
    /// If the kernel's types do not have what the layout needs.
    pub fn layout<L: Layout>(&self) -> Result<L, LayoutError> {
        let layout = L::resolve(&self.types)?;
        let info = layout.info();
        let mut known = self
            .shared
            .layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
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
        let known = self
            .shared
            .layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }
}
