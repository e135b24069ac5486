//! Addresses of code as the kernel prints them: `name+0xoffset/0xsize [module]` (`%pS`).
//!
//! Names come from the dump's own kallsyms, whatever types and symbols were given: only its
//! order tells which of several names at one address the kernel prints.

use serde::Serialize;

use super::kallsyms::OwnSymbolsError;
use super::modules::Modules;
use super::{Kernel, moved};
use crate::addr::VirtAddr;
use crate::space::BootFacts;
use crate::types::{Kallsyms, SymbolOrigin};

impl Kernel {
    /// Run-time addresses of everything that has one of `names`, with the name's index: static
    /// functions may share one. A profile has few symbols, so where it says nothing of a name the
    /// dump's own are asked.
    pub fn symbols_called(&self, names: &[&str]) -> Vec<(usize, VirtAddr)> {
        let given = &self.shared.symbols;
        let told = names.iter().all(|name| given.tells_of(name));
        let own = || self.own_symbols().ok()?.symbols().ok();
        let own = if told { None } else { own() };
        if !told && own.is_none() {
            self.diag.warn(
                "profile-incomplete",
                "the profile has not all names of functions that are looked for, and the kernel's own are not found in the dump: give its vmlinux",
            );
        }
        let table = own.as_ref().unwrap_or(given);
        let all = table.all_called(names).into_iter();
        all.map(|(index, at)| (index, moved(table, at, self.space.boot())))
            .collect()
    }

    /// Bytes from the symbol `name` to the next one: it is no longer than that. A profile lacks most
    /// of those that may be next, which the dump's own are asked for.
    pub fn symbol_room(&self, name: &str) -> Option<u64> {
        let given = &self.shared.symbols;
        let address = given.address(name)?;
        let room = given.next_above(address).map(|next| next - address);
        if given.origin() != SymbolOrigin::Profile {
            return room;
        }
        let at = moved(given, address, self.space.boot());
        let own = self.own_symbols().ok().and_then(|own| own.find(at.0));
        let own = own.and_then(|named| named.size.checked_sub(named.offset));
        own.into_iter().chain(room).min()
    }
}

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
                let nameless = "functions of the kernel have no names here";
                let (code, diag) = ("no-kernel-names", &kernel.diag);
                // Where they are is known, so something is missing; a vmlinux has not their order.
                match error {
                    OwnSymbolsError::Memory(why) => {
                        diag.warn(
                            code,
                            format!("{nameless}: the table of them can't be read: {why}"),
                        );
                    }
                    OwnSymbolsError::Decode(why) => {
                        diag.warn(
                            code,
                            format!("{nameless}: the table of them in the dump: {why}"),
                        );
                    }
                    other => diag.note(code, format!("{nameless}: {other}")),
                }
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
