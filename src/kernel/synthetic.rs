//! For unit tests: the kernel of a synthetic machine, opened as a command would open it.

use std::path::Path;
use std::sync::Arc;

use vmleak_synth::Machine;
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::elf;

use super::Kernel;
use crate::dump::Dump;
use crate::types::{DebugFile, Dwarf, SymbolTable, TypeDb};

/// By the machine's own symbols.
pub(crate) fn kernel(machine: &Machine) -> Kernel {
    let file = debug_file(machine);
    let symbols = SymbolTable::from_elf(&file).expect("symbols");
    open(machine, file, symbols)
}

/// With `more` symbols besides, where a test has placed something: names and addresses.
pub(crate) fn kernel_with(machine: &Machine, more: &[(&str, u64)]) -> Kernel {
    let own = machine.kernel.image.symbols.iter();
    let own = own.map(|symbol| (symbol.name.as_str(), symbol.address));
    let lines: String = own
        .chain(more.iter().copied())
        .map(|(name, address)| format!("{address:016x} D {name}\n"))
        .collect();
    let symbols = SymbolTable::parse_system_map(Path::new("System.map"), lines.as_bytes());
    open(machine, debug_file(machine), symbols.expect("symbols"))
}

fn debug_file(machine: &Machine) -> DebugFile {
    let file = vmlinux(machine, VmlinuxOptions::new(5));
    DebugFile::from_bytes(Path::new("vmlinux"), file).expect("a vmlinux")
}

fn open(machine: &Machine, file: DebugFile, symbols: SymbolTable) -> Kernel {
    let held = elf::elf(machine, elf::Options::default());
    let dump = Dump::from_bytes(Path::new("dump"), held, 1 << 20).expect("a dump");
    let types = Dwarf::new(Arc::new(file)).expect("types");
    let types = TypeDb::new(vec![Box::new(types)]);
    Kernel::new(Arc::new(dump), types, symbols).expect("a kernel")
}
