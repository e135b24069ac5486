//! Why a dump has no address space, and why memory at an address can't be read.

use thiserror::Error;

use super::arch;
use crate::addr::VirtAddr;
use crate::dump::PageFault;

/// Why the address space of a dump can't be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The dump has no VMCOREINFO, and nothing stands in for it.
    #[error(
        "no VMCOREINFO came with the dump, none that fits lies in its memory, and no kernel is found there by its page tables: is it whole, and of a Linux machine? take it with kdump, or with a vmcoreinfo device for QEMU's dump-guest-memory"
    )]
    NoVmcoreInfo,
    /// The dump names an architecture that is not known.
    #[error(
        "a dump of the architecture {machine}; vmleak reads those of {}: open it with crash or drgn built for {machine}",
        known_architectures()
    )]
    OtherArchitecture {
        /// As the dump names it.
        machine: String,
    },
    /// VMCOREINFO lacks something needed.
    #[error(
        "VMCOREINFO lacks {key}, which every {arch} kernel writes: the note is damaged, or of another architecture"
    )]
    MissingKey {
        /// What.
        key: &'static str,
        /// For which architecture.
        arch: &'static str,
    },
    /// The page-table root lies outside the kernel image.
    #[error("VMCOREINFO places the page tables at {0}, outside the kernel image")]
    BadRoot(VirtAddr),
}

fn known_architectures() -> String {
    let names: Vec<_> = arch::all().map(arch::Arch::name).collect();
    names.join(", ")
}

/// Why memory at a virtual address can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemFault {
    /// The processor would not translate it.
    #[error("{va} is no address (not canonical)")]
    NotCanonical {
        /// The number.
        va: VirtAddr,
    },
    /// The kernel mapped nothing there.
    #[error("{va} is not mapped (no {level} entry)")]
    Unmapped {
        /// The address.
        va: VirtAddr,
        /// The page-table level whose entry is not present.
        level: &'static str,
    },
    /// A page table on the way is not in the dump.
    #[error("{va} can't be translated: its {level} table: {fault}")]
    Table {
        /// The address.
        va: VirtAddr,
        /// The level of the table.
        level: &'static str,
        /// Why the table's page can't be had.
        fault: PageFault,
    },
    /// The page itself is not in the dump.
    #[error("{va}: {fault}")]
    Page {
        /// The address.
        va: VirtAddr,
        /// Why its page can't be had.
        fault: PageFault,
    },
}

impl MemFault {
    /// The dump's reason, where the kernel did map the address.
    pub fn page_fault(&self) -> Option<PageFault> {
        match self {
            MemFault::NotCanonical { .. } | MemFault::Unmapped { .. } => None,
            MemFault::Table { fault, .. } | MemFault::Page { fault, .. } => Some(*fault),
        }
    }
}
