//! Where the kernel is in a dump: what has to be known before a single address can be read.
//!
//! Input: a [`Dump`]. Output: [`BootFacts`], each with how it is known: by the kernel's own note
//! (VMCOREINFO), or by what was found in memory in its place. Another way to know is another
//! [`How`], and nothing above asks which it was.

mod locate;

pub use locate::{Assumed, Located, locate};

use std::ops::Range;

use super::arch::{self, Arch};
use super::{LinearRegion, SpaceError};
use crate::addr::VirtAddr;
use crate::dump::{Dump, NoteOrigin, VmcoreInfo};

/// How a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The kernel's note says it.
    Vmcoreinfo,
    /// The text of the kernel's note says it, which lies in memory: the dump brings no note.
    TextInMemory,
    /// There is no such text: found from the CPUs' registers, which the hypervisor saved.
    CpuRegisters,
    /// There is no such text: found by the shape of page tables.
    PageTables,
    /// Nothing says it: it is so unless the note says otherwise.
    Default,
}

impl How {
    /// How the facts of a note are known that was come by in a way.
    fn of(origin: NoteOrigin) -> Self {
        match origin {
            NoteOrigin::Note => Self::Vmcoreinfo,
            NoteOrigin::TextInMemory => Self::TextInMemory,
            NoteOrigin::CpuRegisters => Self::CpuRegisters,
            NoteOrigin::PageTables => Self::PageTables,
        }
    }

    /// As documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vmcoreinfo => "vmcoreinfo",
            Self::TextInMemory => "vmcoreinfo in memory",
            Self::CpuRegisters => "registers of the CPUs",
            Self::PageTables => "page tables in memory",
            Self::Default => "default",
        }
    }
}

/// One fact, and how it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact<T> {
    /// What is so.
    pub value: T,
    /// How that is known.
    pub how: How,
}

impl<T> Fact<T> {
    /// What the note says, if it does.
    pub fn noted(value: T) -> Self {
        let how = How::Vmcoreinfo;
        Self { value, how }
    }

    /// What the note says, or what is so without a word of it.
    pub fn noted_or(noted: Option<T>, default: T) -> Self {
        match noted {
            Some(value) => Self::noted(value),
            None => Self {
                value: default,
                how: How::Default,
            },
        }
    }
}

/// Where the kernel is.
#[derive(Clone, Debug)]
pub struct BootFacts {
    /// The architecture.
    pub arch: &'static dyn Arch,
    /// Of the kernel's page tables: where the root lies, by the image's mapping.
    pub root: Fact<VirtAddr>,
    /// Levels of the page tables.
    pub levels: Fact<u32>,
    /// By how much KASLR moved the image from where it was linked.
    pub kernel_offset: Fact<u64>,
    /// Where the image is mapped.
    pub image: Fact<LinearRegion>,
    /// Where all of RAM is mapped, unless the kernel's variables say otherwise.
    pub direct: Fact<LinearRegion>,
    /// The addresses of vmalloc, where they are known without the kernel's variables.
    pub vmalloc: Option<Fact<Range<VirtAddr>>>,
    /// From here on addresses may be of the image or of modules: those have symbols, and the
    /// linked ones are moved by KASLR.
    pub first_symbol: VirtAddr,
    /// log2 of the bytes of a page, by which the kernel's page tables are read.
    pub page_shift: Fact<u32>,
    /// Bits of a virtual address that the page tables translate.
    pub address_bits: Fact<u32>,
    /// Bits that the root's table is made for: some kernels have one for more than the processor
    /// translates.
    pub table_bits: u32,
    /// Bits that a signature has in the addresses to which functions return: 1 in every plain
    /// address of the kernel.
    pub signature_bits: Fact<u64>,
    /// Bits in page-table entries that say that memory is encrypted.
    pub encryption_bits: Fact<u64>,
    /// `uname -r`.
    pub release: Option<Fact<String>>,
    /// Of vmlinux, in hex.
    pub build_id: Option<Fact<String>>,
}

impl BootFacts {
    /// Finds where the kernel is.
    ///
    /// # Errors
    /// If the dump is of an architecture that is not known, or does not say where its kernel is.
    pub fn find(dump: &Dump) -> Result<Self, SpaceError> {
        let info = dump.notes().vmcoreinfo.as_ref();
        // Another architecture is named before a note is missed.
        arch::of(dump.machine().as_ref())
            .map_err(|machine| SpaceError::OtherArchitecture { machine })?;
        Self::told(dump, info.ok_or(SpaceError::NoVmcoreInfo)?)
    }

    /// What `info` says of where the kernel is. A dump that names no architecture is of the one
    /// whose kernels write such a text.
    ///
    /// # Errors
    /// If the dump is of an architecture that is not known, or the text lacks what is needed.
    pub(super) fn told(dump: &Dump, info: &VmcoreInfo) -> Result<Self, SpaceError> {
        let machine = dump.machine();
        let archs = arch::of(machine.as_ref())
            .map_err(|machine| SpaceError::OtherArchitecture { machine })?;
        let mut facts = Err(SpaceError::NoVmcoreInfo);
        for arch in archs {
            facts = arch.boot_facts(info);
            if facts.is_ok() {
                break;
            }
        }
        let mut facts = facts?;
        facts.noted_by(How::of(info.origin()));
        Ok(facts)
    }

    /// Says of all that a note told how that note was come by.
    fn noted_by(&mut self, how: How) {
        fn mark<T>(fact: &mut Fact<T>, how: How) {
            if fact.how == How::Vmcoreinfo {
                fact.how = how;
            }
        }
        mark(&mut self.root, how);
        mark(&mut self.levels, how);
        mark(&mut self.kernel_offset, how);
        mark(&mut self.image, how);
        mark(&mut self.direct, how);
        self.vmalloc.iter_mut().for_each(|fact| mark(fact, how));
        mark(&mut self.page_shift, how);
        mark(&mut self.address_bits, how);
        mark(&mut self.signature_bits, how);
        mark(&mut self.encryption_bits, how);
        self.release.iter_mut().for_each(|fact| mark(fact, how));
        self.build_id.iter_mut().for_each(|fact| mark(fact, how));
    }

    /// How it is known where the kernel is: how its page tables were found.
    pub fn from(&self) -> &'static str {
        self.root.how.name()
    }

    /// Where an address of the linked kernel is at run time. Below the image there are per-CPU
    /// symbols that are offsets from zero on some kernels, which KASLR does not move.
    pub fn run_time(&self, linked: u64) -> VirtAddr {
        VirtAddr(match self.first_symbol.0 <= linked {
            true => linked.wrapping_add(self.kernel_offset.value),
            false => linked,
        })
    }

    /// The address that a function returns to, of the word on the stack that says it.
    pub fn return_address(&self, word: u64) -> u64 {
        // Bit 55 is the one that tells kernel and user apart, whatever is written above it.
        match word >> 55 & 1 {
            1 => word | self.signature_bits.value,
            _ => word,
        }
    }

    /// Where an address at run time was linked: the other way round.
    pub fn linked(&self, address: u64) -> u64 {
        match self.first_symbol.0 <= address {
            true => address.wrapping_sub(self.kernel_offset.value),
            false => address,
        }
    }
}
