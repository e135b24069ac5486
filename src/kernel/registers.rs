//! The registers that each CPU saved when the kernel died.
//!
//! A dump that kdump writes brings them as notes; images of memory do not, but the notes lie in
//! the kernel's own memory (`crash_notes`, kernel/crash_core.c), empty if it did not die.

use super::Kernel;
use super::cpus::Cpus;
use crate::dump::Notes;

/// Bytes of a CPU's note that are looked at: the header, the name, `struct elf_prstatus`.
const NOTE_BYTES: usize = 512;

/// The descriptors of the notes of the CPUs, in no order.
pub(crate) fn saved(kernel: &Kernel) -> Vec<Vec<u8>> {
    let notes = kernel.dump().notes();
    match notes.prstatus.is_empty() {
        false => notes.prstatus.clone(),
        true => in_memory(kernel).unwrap_or_default(),
    }
}

fn in_memory(kernel: &Kernel) -> Option<Vec<Vec<u8>>> {
    // Whether they are there is a guess: a kernel without kexec has none.
    let space = kernel.space.quiet();
    let percpu = space.read_ptr(kernel.symbol("crash_notes")?).ok()?;
    let cpus = Cpus::read(kernel).ok()?;
    let mut notes = Notes::default();
    for (_, at) in cpus.instances(percpu) {
        if let Ok(note) = space.read_bytes(at, NOTE_BYTES) {
            notes.parse(&note);
        }
    }
    Some(notes.prstatus)
}
