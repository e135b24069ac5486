//! From a word in physical memory to the variable there, and from an address to its symbol
//! with the module.

use std::sync::OnceLock;

use super::Kernel;
use super::formats::{Format, Formats};
use super::modules::Modules;
use super::symbolize::{Symbolized, Symbolizer};
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::once::get_or_make;
use rustc_hash::FxHashMap;

/// Names addresses.
#[derive(Debug)]
pub(crate) struct Variables<'k> {
    kernel: &'k Kernel,
    symbols: Symbolizer<'k>,
    /// Memory of the boot that is given back, and may be anybody's since.
    init: std::ops::Range<VirtAddr>,
    image: std::ops::Range<VirtAddr>,
    /// No symbol lies below.
    first: VirtAddr,
    /// Where the pages of modules are mapped.
    module_pages: FxHashMap<Pfn, VirtAddr>,
    /// Pages of modules that can't be told since the dump lacks page tables.
    gaps: u64,
    modules: &'k Modules,
    /// Looked for when the first text is met.
    formats: OnceLock<Formats>,
    /// The name of the module that was unloaded last, if any was; read when it is asked for.
    unloaded: OnceLock<Option<String>>,
}

/// Few functions and variables are larger. Nothing tells where one ends but the next one's start,
/// and behind the last one of a section comes what has no symbol: strings, tables.
const LARGEST: u64 = 128 << 10;

/// Whether it lies in the symbol, and not only behind it.
fn is_inside(found: &Symbolized) -> bool {
    found.offset < LARGEST
}

/// From here on words are numbers below zero, as those of errors.
const NO_ADDRESS: u64 = u64::MAX << 24;
/// A name is shorter (MODULE_NAME_LEN).
const MODULE_NAME: usize = 56;

/// So many bytes tell code that was erased.
const ERASED: usize = 16;

/// Whether code was given back: where modules share large pages (mm/execmem.c) these
/// stay mapped, and one byte that no CPU runs over fills what is free of them
/// (execmem_fill_trapping_insns()).
fn is_erased(code: &[u8]) -> bool {
    let first = code.first().copied().unwrap_or(0);
    first != 0 && code.iter().all(|byte| *byte == first)
}

/// `last_unloaded_module` (kernel/module/main.c): text, and with 6.0 a structure that begins with it.
fn last_unloaded(kernel: &Kernel) -> Option<String> {
    let at = kernel.symbol("last_unloaded_module")?;
    let bytes = kernel.space.quiet().read_bytes(at, MODULE_NAME).ok()?;
    let name = bytes.split(|byte| *byte == 0).next()?;
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| String::from_utf8_lossy(name).into_owned())
}

impl<'k> Variables<'k> {
    /// Over the kernel and its modules.
    pub(crate) fn new(kernel: &'k Kernel, modules: &'k Modules) -> Self {
        let shift = kernel.dump().page_shift();
        let mut module_pages = FxHashMap::default();
        let mut gaps = 0;
        for region in modules.iter().flat_map(|module| &module.regions) {
            for at in (0..region.size).step_by(1 << shift) {
                let va = region.base.plus(at);
                match kernel.space.translate(va) {
                    Ok(mapping) => {
                        module_pages.insert(Pfn::containing(mapping.phys, shift), va);
                    }
                    Err(fault) => gaps += u64::from(fault.page_fault().is_some()),
                }
            }
        }
        let at = |name: &str| kernel.symbol(name).unwrap_or_default();
        Self {
            init: at("__init_begin")..at("__init_end"),
            image: at("_text").min(at("_stext"))..at("_end"),
            first: kernel.space.boot().first_symbol,
            symbols: Symbolizer::new(kernel, modules),
            kernel,
            module_pages,
            gaps,
            modules,
            formats: OnceLock::new(),
            unloaded: OnceLock::new(),
        }
    }

    /// The module that was unloaded last, if `address` is where a module may have been and nothing is
    /// mapped any more, or what is there was erased.
    pub(crate) fn was_module(&self, address: VirtAddr) -> Option<&str> {
        if !self.may_name(address) || self.image.contains(&address) || address.0 >= NO_ADDRESS {
            return None;
        }
        let unloaded = get_or_make(&self.unloaded, || last_unloaded(self.kernel));
        let name = unloaded.as_deref()?;
        let space = self.kernel.space.quiet();
        let is_gone = match space.translate(address) {
            Ok(_) => space
                .read_bytes(address, ERASED)
                .is_ok_and(|code| is_erased(&code)),
            Err(fault) => fault.page_fault().is_none(),
        };
        is_gone.then_some(name)
    }

    /// The symbol that an address lies in.
    pub(crate) fn name(&self, address: VirtAddr) -> Option<Symbolized> {
        self.symbols.find(address).filter(is_inside)
    }

    /// The format string of a module that a text was made by, if that can be told.
    pub(crate) fn maker(&self, text: &str) -> Option<&Format> {
        let read = || Formats::read(self.kernel, self.modules);
        get_or_make(&self.formats, read).maker(self.kernel, text)
    }

    /// Pages of modules that can't be told since the dump lacks page tables.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Whether the page holds a part of a module.
    pub(crate) fn is_of_module(&self, pfn: Pfn) -> bool {
        self.module_pages.contains_key(&pfn)
    }

    /// Whether the page holds a part of the kernel itself.
    pub(crate) fn is_of_kernel(&self, pfn: Pfn) -> bool {
        let shift = self.kernel.dump().page_shift();
        let start = self.kernel.space.image_address(pfn.start(shift));
        start.is_some_and(|start| {
            start < self.image.end && start.plus(1 << shift) > self.image.start
        })
    }

    /// Whether an address can have a symbol at all: the cheap first question.
    pub(crate) fn may_name(&self, address: VirtAddr) -> bool {
        self.kernel.space.boot().return_address(address.0) >= self.first.0
    }

    /// The variable of the kernel or of a module that a physical address lies in.
    pub(crate) fn variable(&self, phys: PhysAddr) -> Option<Symbolized> {
        let shift = self.kernel.dump().page_shift();
        let pfn = Pfn::containing(phys, shift);
        if let Some(page) = self.module_pages.get(&pfn) {
            return self.name(page.plus(phys.0 - pfn.start(shift).0));
        }
        let address = self.kernel.space.image_address(phys)?;
        let inside = self.image.contains(&address) && !self.init.contains(&address);
        inside.then(|| self.name(address)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erased_code_is_one_byte_that_is_not_zero() {
        assert!(is_erased(&[0xcc; 16]));
        assert!(!is_erased(&[0; 16]) && !is_erased(&[]));
        assert!(!is_erased(&[0xcc, 0xcc, 0x90, 0xcc]));
    }

    #[test]
    fn far_behind_a_symbol_is_not_in_it() {
        let at = |offset| Symbolized {
            function: "linux_banner".to_owned(),
            offset,
            size: 0x20_0000,
            module: None,
        };
        assert!(is_inside(&at(0x20)) && !is_inside(&at(0x1b_bd3b)));
    }
}
