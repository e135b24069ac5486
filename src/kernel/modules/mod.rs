//! The kernel modules that were loaded: where they lie, their build-ids, their symbols.
//!
//! Layer: kernel. Input: the list `modules`. Output: [`Modules`]; symbols are at their
//! final addresses. Invariants: one damaged module costs its own symbols only, and a
//! warning says so; everything read from the dump is bounded by the module's own memory.

mod build_id;
mod layouts;
mod symbols;

use rayon::prelude::*;

pub use symbols::ModuleSymbols;

use self::layouts::Layouts;
use super::layout::LayoutError;
use super::{Kernel, walk};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, slice};
use crate::partial::End;

/// More modules than there are in any kernel's build.
const MAX_MODULES: u64 = 16_384;

/// How far a module's loading had come (`enum module_state`, include/linux/module.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// Loaded.
    Live,
    /// Its init function was running.
    Coming,
    /// Being unloaded.
    Going,
}

impl ModuleState {
    /// `None` for UNFORMED, which /proc/modules leaves out too, and for what is none.
    fn from_kernel(value: u64) -> Option<Self> {
        match value {
            0 => Some(Self::Live),
            1 => Some(Self::Coming),
            2 => Some(Self::Going),
            _ => None,
        }
    }
}

/// A range of a module's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: VirtAddr,
    /// Bytes.
    pub size: u64,
}

impl Region {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: VirtAddr) -> bool {
        self.rest(address) > 0
    }

    /// Bytes from `address` to the end; 0 if it does not lie in the region.
    fn rest(&self, address: VirtAddr) -> u64 {
        let within = address.offset_from(self.base);
        within.map_or(0, |within| self.size.saturating_sub(within))
    }
}

/// One module.
#[derive(Debug)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// Of its `struct module`.
    pub address: VirtAddr,
    /// How far its loading had come.
    pub state: ModuleState,
    /// Bits of `enum` TAINT_*.
    pub taints: u64,
    /// Hex; `None` if the dump does not tell.
    pub build_id: Option<String>,
    /// Its code; up to 6.3 the data lie behind it in the same region. /proc/modules prints the base.
    pub text: Region,
    /// Bytes of code in `text`, without the data behind it.
    pub text_size: u64,
    /// All of its memory, `text` first.
    pub regions: Vec<Region>,
    /// Its symbols.
    pub symbols: ModuleSymbols,
}

impl Module {
    /// Bytes in all regions, as /proc/modules prints them.
    pub fn size(&self) -> u64 {
        self.regions
            .iter()
            .fold(0, |sum, region| sum.saturating_add(region.size))
    }

    /// Whether `address` lies in the module's memory.
    pub fn contains(&self, address: VirtAddr) -> bool {
        self.regions.iter().any(|region| region.contains(address))
    }

    /// The letters for the module's taints, as /proc/modules prints them: `OE` for one built
    /// outside the kernel and not signed (kernel/panic.c, `taint_flags[]`).
    pub fn taint_letters(&self) -> String {
        const LETTERS: [(u32, char); 10] = [
            (0, 'P'),
            (1, 'F'),
            (10, 'C'),
            (12, 'O'),
            (13, 'E'),
            (15, 'K'),
            (16, 'X'),
            (17, 'T'),
            (18, 'N'),
            // 6.15 and later.
            (19, 'J'),
        ];
        LETTERS
            .iter()
            .filter(|(bit, _)| self.taints >> bit & 1 == 1)
            .map(|(_, letter)| letter)
            .collect()
    }
}

/// All modules of the kernel, in the order of its list.
#[derive(Debug)]
pub struct Modules {
    all: Vec<Module>,
    end: End,
}

impl Modules {
    /// Walks the list and reads each module with its symbols. A kernel without modules has none.
    ///
    /// # Errors
    /// If the types have no `struct module` of a known shape.
    pub fn read(kernel: &Kernel) -> Result<Self, LayoutError> {
        // Without CONFIG_MODULES there is no list.
        let Some(head) = kernel.symbol("modules") else {
            return Ok(Self {
                all: Vec::new(),
                end: End::Complete,
            });
        };
        let layouts = Layouts::resolve(kernel)?;
        let list = walk::list(&kernel.space, head, MAX_MODULES);
        if !list.end.is_complete() {
            kernel.diag.warn(
                "module-list-damaged",
                format!(
                    "the list of modules {} after {} of them: symbols of the others are missing; the kernel's own memory is damaged or missing there, a second dump may have it",
                    list.end.describe(),
                    list.seen
                ),
            );
        }
        let link = u64::from(layouts.module.list.offset);
        let all = list
            .value
            .par_iter()
            .filter_map(|at| layouts.read_module(kernel, at.minus(link)))
            .collect();
        Ok(Self { all, end: list.end })
    }

    /// The module called `name`; `-` stands for `_`.
    pub fn find(&self, name: &str) -> Option<&Module> {
        let name = name.replace('-', "_");
        self.all.iter().find(|module| module.name == name)
    }

    /// The address of a symbol of any module, with the module.
    pub fn symbol_in(&self, name: &str) -> Option<(&Module, VirtAddr)> {
        self.all
            .iter()
            .find_map(|module| Some((module, module.symbols.address(name)?)))
    }

    /// The address of a symbol of any module.
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.symbol_in(name).map(|(_, address)| address)
    }

    /// The module and symbol that `address` lies in, and the offset from the symbol.
    pub fn symbolize(&self, address: VirtAddr) -> Option<(&Module, &str, u64)> {
        let module = self.all.iter().find(|module| module.contains(address))?;
        let (name, offset) = module.symbols.symbolize(address)?;
        Some((module, name, offset))
    }

    /// As [`symbolize`](Self::symbolize), with the size that the kernel takes a symbol to have:
    /// up to the next one, or the end of the memory that it lies in (kernel/module/kallsyms.c).
    pub fn symbolize_sized(&self, address: VirtAddr) -> Option<(&Module, &str, u64, u64)> {
        let (module, name, offset) = self.symbolize(address)?;
        let region = module.regions.iter().find(|r| r.contains(address))?;
        let size = match address.offset_from(region.base) {
            Some(within) if region.base == module.text.base && within < module.text_size => {
                module.text_size
            }
            _ => region.size,
        };
        let end = region.base.plus(size);
        let next = module.symbols.next_after(address);
        let end = next.map_or(end, |next| next.min(end));
        let start = address.minus(offset);
        Some((module, name, offset, end.offset_from(start)?))
    }

    /// All of them, the last loaded first.
    pub fn iter(&self) -> std::slice::Iter<'_, Module> {
        self.all.iter()
    }

    /// How the walk over the list ended.
    pub fn end(&self) -> End {
        self.end
    }
}

/// The address of a symbol of the kernel itself, else of a module: what is a module in one
/// kernel is built into another.
pub fn resolve(kernel: &Kernel, modules: &Modules, name: &str) -> Option<VirtAddr> {
    kernel.symbol(name).or_else(|| modules.symbol(name))
}

impl Layouts {
    /// `None` for a module that is not formed yet, or can't be read.
    fn read_module(&self, kernel: &Kernel, address: VirtAddr) -> Option<Module> {
        let record = match kernel.space.read_bytes(address, self.module_len()) {
            Ok(record) => record,
            Err(fault) => {
                kernel.diag.warn(
                    "module-unreadable",
                    format!("a module can't be read ({fault}): its symbols are missing; take the dump with kernel pages included"),
                );
                return None;
            }
        };
        let layout = &self.module;
        let state = ModuleState::from_kernel(layout.state.get(&record))?;
        let name = layout.name;
        let name = slice(&record, name.offset as usize, name.size as usize)?;
        let name = c_string(name);
        let regions = self.regions(&record);
        let symbols = ModuleSymbols::read(kernel, self, &record, &regions, &name);
        let text = regions.first().copied()?;
        let text_size = self.text_size(&record).unwrap_or(text.size);
        Some(Module {
            address,
            state,
            taints: layout.taints.get(&record),
            build_id: build_id::read(kernel, self, &record),
            text,
            text_size: text_size.min(text.size),
            regions,
            symbols,
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(taints: u64) -> Module {
        let region = |base, size| Region {
            base: VirtAddr(base),
            size,
        };
        Module {
            name: "one".to_owned(),
            address: VirtAddr(0),
            state: ModuleState::Live,
            taints,
            build_id: None,
            text: region(0x1000, 0x2000),
            text_size: 0x2000,
            regions: vec![region(0x1000, 0x2000), region(0x8000, 0x10)],
            symbols: ModuleSymbols::default(),
        }
    }

    /// kernel/panic.c: the bits of TAINT_* that modules can have, in their order.
    #[test]
    fn taints_are_letters() {
        for (taints, letters) in [
            (0, ""),
            (1, "P"),
            (1 << 12 | 1 << 13, "OE"),
            (1 << 1 | 1 << 10 | 1 << 15, "FCK"),
            (1 << 16 | 1 << 17 | 1 << 18 | 1 << 19, "XTNJ"),
            // That a CPU is out of its specification is no module's fault.
            (1 << 2 | 1 << 9 | 1 << 14, ""),
        ] {
            assert_eq!(module(taints).taint_letters(), letters, "{taints:#x}");
        }
    }

    #[test]
    fn states_of_loading() {
        let states = [0, 1, 2, 3, u64::MAX].map(ModuleState::from_kernel);
        let [live, coming, going] = [ModuleState::Live, ModuleState::Coming, ModuleState::Going];
        assert_eq!(states, [Some(live), Some(coming), Some(going), None, None]);
    }

    #[test]
    fn memory_of_several_regions() {
        let module = module(0);
        assert_eq!(module.size(), 0x2010);
        for (at, inside) in [
            (0xfff, false),
            (0x1000, true),
            (0x2fff, true),
            (0x3000, false),
            (0x8000, true),
            (0x800f, true),
            (0x8010, false),
        ] {
            assert_eq!(module.contains(VirtAddr(at)), inside, "{at:#x}");
        }
    }
}
