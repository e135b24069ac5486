//! Addresses of code as the kernel prints them: `name+0xoffset/0xsize [module]` (`%pS`).
//!
//! Names come from the dump's own kallsyms, whatever types and symbols were given: only its
//! order tells which of several names at one address the kernel prints.

use serde::Serialize;

use super::Kernel;
use super::modules::Modules;
use crate::addr::VirtAddr;
use crate::space::BootFacts;
use crate::types::Kallsyms;

/// What an address is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symbolized {
    /// The function.
    pub function: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Its size, up to the next symbol.
    pub size: u64,
    /// The module that it belongs to; `None` in the kernel itself.
    pub module: Option<String>,
}

impl std::fmt::Display for Symbolized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.function, self.offset, self.size)?;
        match &self.module {
            Some(module) => write!(f, " [{module}]"),
            None => Ok(()),
        }
    }
}

impl Symbolized {
    /// The symbol with its module, wherever in it the address lies.
    pub fn symbol(&self) -> String {
        match &self.module {
            Some(module) => format!("{} [{module}]", self.function),
            None => self.function.clone(),
        }
    }
}

/// Finds names of addresses.
#[derive(Debug)]
pub struct Symbolizer<'m> {
    names: Option<&'m Kallsyms>,
    modules: &'m Modules,
    start: u64,
    end: u64,
    boot: &'m BootFacts,
}

impl<'m> Symbolizer<'m> {
    /// Reads the kernel's names. Without them only modules' addresses have some, and a warning
    /// says so.
    pub fn new(kernel: &'m Kernel, modules: &'m Modules) -> Self {
        let names = kernel
            .own_symbols()
            .map_err(|error| {
                kernel.diag.note(
                    "no-kernel-names",
                    format!("functions of the kernel have no names here: {error}"),
                );
            })
            .ok();
        let address = |name, otherwise| kernel.symbol(name).map_or(otherwise, |at| at.0);
        Self {
            names,
            modules,
            start: address("_stext", 0),
            end: address("_end", u64::MAX),
            boot: kernel.space.boot(),
        }
    }

    /// Whether the kernel's own names are known.
    pub fn is_complete(&self) -> bool {
        self.names.is_some()
    }

    /// An address as `%pS` prints it: one without a name as a number.
    pub fn print(&self, address: u64) -> String {
        let found = self.find(VirtAddr(address));
        found.map_or_else(|| format!("{address:#x}"), |found| found.to_string())
    }

    /// The module that an address belongs to; `None` for the kernel itself, and what is no code.
    pub fn module(&self, address: u64) -> Option<String> {
        self.find(VirtAddr(address))?.module
    }

    /// The name of `address`, which may be signed as those on stacks are; `None` if it lies in no
    /// function that is known.
    pub fn find(&self, address: VirtAddr) -> Option<Symbolized> {
        let address = VirtAddr(self.boot.return_address(address.0));
        if (self.start..self.end).contains(&address.0) {
            let named = self.names?.find(address.0)?;
            return Some(Symbolized {
                function: named.name,
                offset: named.offset,
                size: named.size,
                module: None,
            });
        }
        let (module, name, offset, size) = self.modules.symbolize_sized(address)?;
        Some(Symbolized {
            function: name.to_owned(),
            offset,
            size,
            module: Some(module.name.clone()),
        })
    }
}
