//! What differs between architectures, one file each; nothing outside this folder names one.
//!
//! An [`Arch`] is asked once when a dump is opened, or once per stack or note. What reading a
//! word needs is data that it makes: an [`MmuSpec`] and [`LinearRegion`]s.

use std::fmt;

mod aarch64;
mod x86_64;

#[cfg(test)]
pub(super) use x86_64::{FIVE_LEVELS, FOUR_LEVELS};

use super::boot::BootFacts;
use super::{LinearRegion, MmuSpec, SpaceError};
use crate::addr::{PhysAddr, VirtAddr};
use crate::dump::{Dump, MachineName, VmcoreInfo};

/// An architecture. All facts are of kernels for 64-bit little-endian machines.
pub trait Arch: fmt::Debug + Send + Sync {
    /// As `uname -m` says it.
    fn name(&self) -> &'static str;

    /// `e_machine` in an ELF header.
    fn elf_machine(&self) -> u16;

    /// What the kernel's own note says of where it is.
    ///
    /// # Errors
    /// If it lacks what every kernel of this architecture writes.
    fn boot_facts(&'static self, info: &VmcoreInfo) -> Result<BootFacts, SpaceError>;

    /// What the notes of the kernels in memory would say of where they are, by what shows itself:
    /// for dumps without any. None where that is not known to be found.
    fn notes_by_search(&self, dump: &Dump) -> Vec<VmcoreInfo> {
        let _ = dump;
        Vec::new()
    }

    /// How page tables of the kernel are read.
    fn mmu(&self, boot: &BootFacts) -> MmuSpec;

    /// Whether all that is mapped in the image's region is where the region says. Else parts of
    /// it are unmapped when they are given back, and only page tables tell which.
    fn image_is_whole(&self) -> bool;

    /// Where all of RAM is mapped, by the kernel's variables where it has any that say so: where
    /// it begins, and where vmalloc does behind it.
    fn direct_map(
        &self,
        boot: &BootFacts,
        start: Option<VirtAddr>,
        end: Option<VirtAddr>,
    ) -> LinearRegion;

    /// Bits that a physical address has at most.
    fn physical_bits(&self, boot: &BootFacts) -> u32;

    /// Bytes of addresses that vmalloc has.
    fn vmalloc_size(&self, boot: &BootFacts) -> u64;

    /// `VMALLOC_TOTAL`: as many of them as the kernel itself says.
    fn vmalloc_total(&self, boot: &BootFacts) -> u64 {
        self.vmalloc_size(boot)
    }

    /// Where vmalloc begins in a kernel that has no variable for it.
    fn vmalloc_default(&self, boot: &BootFacts) -> Option<VirtAddr> {
        let _ = boot;
        None
    }

    /// Whether the direct map of kernels that have no variable for it begins at one place in some
    /// and at another in others, and no note says where.
    fn direct_map_has_moved(&self) -> bool {
        false
    }

    /// Where the direct map begins by where RAM ends in it, for kernels that have no variable for
    /// it; `None` if that tells nothing.
    fn direct_map_by_end(&self, high_memory: VirtAddr, end: PhysAddr) -> Option<VirtAddr> {
        let _ = (high_memory, end);
        None
    }

    /// log2 of a memory section's size, where the kernel does not say it.
    fn section_bits(&self) -> u32;

    /// Sizes that a task's stack may have; the first where the types do not tell.
    fn stack_sizes(&self) -> &'static [u64];

    /// The stack pointer in the descriptor of an NT_PRSTATUS note.
    fn stack_pointer(&self, prstatus: &[u8]) -> Option<VirtAddr>;
}

static ALL: [&dyn Arch; 2] = [&x86_64::X86_64, &aarch64::Aarch64];

/// All that dumps are read of.
pub fn all() -> impl Iterator<Item = &'static dyn Arch> {
    ALL.into_iter()
}

/// The architectures that a dump which names `machine` may be of: one that names none may be of
/// any.
///
/// # Errors
/// If it is of none that is known: its name.
pub(super) fn of(machine: Option<&MachineName>) -> Result<Vec<&'static dyn Arch>, String> {
    let fits = |arch: &&dyn Arch| match machine {
        Some(MachineName::Utsname(name)) => name == arch.name(),
        Some(MachineName::Elf(number)) => *number == arch.elf_machine(),
        None => true,
    };
    let found: Vec<_> = all().filter(fits).collect();
    match (found.is_empty(), machine) {
        (true, Some(machine)) => Err(machine.to_string()),
        _ => Ok(found),
    }
}
