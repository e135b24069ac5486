//! Kernel virtual memory out of physical pages.
//!
//! Layer: above `dump`. Input: a [`Dump`] with VMCOREINFO. Output: reads at virtual
//! addresses. Linear parts (kernel image, direct map) are arithmetic; everything else
//! (vmalloc, vmemmap, modules, per-CPU chunks) goes through the kernel's own page
//! tables. Invariant: an address that is not mapped, or whose page the dump lacks, is
//! a [`MemFault`] that names the address and the reason, never zeros.

use std::sync::Arc;

use rayon::prelude::*;

pub mod arch;
pub mod boot;
mod fault;
mod gather;
mod linear;
mod mmu;
mod span;
mod tables;
mod text;
mod there;

pub use boot::BootFacts;
pub use fault::{MemFault, SpaceError};
pub(crate) use gather::{Gathered, gather};
pub use linear::LinearRegion;
pub use mmu::{Entry, Level, Mapping, MmuSpec, WalkError};
pub use span::Span;
pub use tables::{Half, Tables};

use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::bytes;
use crate::diag::Diagnostics;
use crate::dump::{Dump, Page, PageFault};

/// From so many bytes on it pays to read in parallel.
const MUCH: usize = 64 << 10;

/// The kernel's address space at the crash. A clone costs nothing: it is a view.
///
/// What can't be read, because its page is missing, is told to the [`Diagnostics`] of the view:
/// nobody has to remember to say it. Who only guesses that something may lie somewhere looks
/// through a [`quiet`](Self::quiet) view.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    dump: Arc<Dump>,
    boot: Arc<BootFacts>,
    mmu: MmuSpec,
    root: PhysAddr,
    image: LinearRegion,
    direct: LinearRegion,
    image_is_whole: bool,
    told: Option<Arc<Diagnostics>>,
    /// Whether what is read goes past the cache of pages.
    in_passing: bool,
}

impl AddressSpace {
    /// Finds where the kernel is in the dump, and sets up translation by that alone; the direct
    /// map is at its default place until [`place_direct_map`](Self::place_direct_map) is told the
    /// kernel's variables.
    ///
    /// # Errors
    /// If the dump is of an unknown architecture, or does not say where its kernel is.
    pub fn new(dump: Arc<Dump>) -> Result<Self, SpaceError> {
        let boot = BootFacts::find(&dump)?;
        Self::booted(dump, boot)
    }

    /// As [`new`](Self::new), where it is known already where the kernel is.
    ///
    /// # Errors
    /// If the page tables lie outside the kernel's image.
    pub fn booted(dump: Arc<Dump>, boot: BootFacts) -> Result<Self, SpaceError> {
        let image = boot.image.value;
        let at = boot.root.value;
        let root = image.translate(at).ok_or(SpaceError::BadRoot(at))?.phys;
        Ok(Self {
            image,
            root,
            direct: boot.direct.value,
            image_is_whole: boot.arch.image_is_whole(),
            mmu: boot.arch.mmu(&boot),
            boot: Arc::new(boot),
            dump,
            told: None,
            in_passing: false,
        })
    }

    /// A view that tells `diag` of missing pages.
    #[must_use]
    pub fn telling(&self, diag: Arc<Diagnostics>) -> Self {
        Self {
            told: Some(diag),
            ..self.clone()
        }
    }

    /// A view that tells nobody, for looks at what may be no memory of the answer at all.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self {
            told: None,
            ..self.clone()
        }
    }

    /// A view for a pass over much memory in the order of the file: a page that it unpacks is
    /// remembered by its thread for a moment, and takes no other page's place in the cache.
    #[must_use]
    pub fn in_passing(&self) -> Self {
        Self {
            in_passing: true,
            ..self.clone()
        }
    }

    /// Tells of a page that is missing. One that is not in the dump at all may never have been RAM,
    /// but then what led to it is broken.
    fn tell(&self, phys: PhysAddr, fault: MemFault) -> MemFault {
        if let Some(diag) = &self.told {
            let page = Pfn::containing(phys, self.dump.page_shift());
            diag.miss(page, || fault.to_string());
        }
        fault
    }

    /// Places the direct map where `page_offset_base` says; it ends at `vmalloc_base`. What is no
    /// address is not believed.
    pub fn place_direct_map(&mut self, page_offset: Option<u64>, vmalloc: Option<u64>) {
        let address = |value: Option<u64>| {
            let value = value.map(VirtAddr);
            value.filter(|at| self.mmu.is_canonical(*at))
        };
        let (start, end) = (address(page_offset), address(vmalloc));
        self.direct = self.boot.arch.direct_map(&self.boot, start, end);
    }

    /// The dump below.
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// Where the kernel is, and how that is known.
    pub fn boot(&self) -> &BootFacts {
        &self.boot
    }

    /// The name of the translation in use.
    pub fn mmu_name(&self) -> &str {
        &self.mmu.name
    }

    /// Bits that a physical address has at most.
    pub fn physical_bits(&self) -> u32 {
        self.boot.arch.physical_bits(&self.boot)
    }

    /// Where the image's mapping has a physical address, if it has.
    pub fn image_address(&self, phys: PhysAddr) -> Option<VirtAddr> {
        let within = phys.0.wrapping_sub(self.image.phys.0);
        (within < self.image.end.0 - self.image.start.0).then(|| self.image.start.plus(within))
    }

    /// Whether the machine has such an address at all.
    pub fn is_canonical(&self, va: VirtAddr) -> bool {
        self.mmu.is_canonical(va)
    }

    /// The address that physical address 0 has in the direct map, or would have: what is added to
    /// a physical address, modulo 2^64. RAM may begin far above 0, and the map below this address.
    pub fn direct_map_zero(&self) -> VirtAddr {
        self.direct.start.minus(self.direct.phys.0)
    }

    /// The virtual address of physical memory in the direct map.
    pub fn direct_map_address(&self, phys: PhysAddr) -> VirtAddr {
        self.direct_map_zero().plus(phys.0)
    }

    /// Translates an address, and says how far the translation holds.
    ///
    /// # Errors
    /// If nothing is mapped there or a page table is missing.
    pub fn translate(&self, va: VirtAddr) -> Result<Mapping, MemFault> {
        if let Some(mapping) = self.direct.translate(va) {
            return Ok(mapping);
        }
        if self.image_is_whole
            && let Some(mapping) = self.image.translate(va)
        {
            return Ok(mapping);
        }
        match self.walk(va) {
            Ok((mapping, _)) => Ok(mapping),
            Err(WalkError::NotCanonical) => Err(MemFault::NotCanonical { va }),
            Err(WalkError::NotPresent(level)) => Err(MemFault::Unmapped { va, level }),
            Err(WalkError::Table(level, fault)) => {
                let at = fault.pfn().start(self.dump.page_shift());
                Err(self.tell(at, MemFault::Table { va, level, fault }))
            }
        }
    }

    /// Whether the page tables let `va` be executed; `false` where nothing is mapped.
    pub fn is_executable(&self, va: VirtAddr) -> bool {
        self.walk(va).is_ok_and(|(_, executable)| executable)
    }

    fn walk(&self, va: VirtAddr) -> Result<(Mapping, bool), WalkError<PageFault>> {
        self.mmu.walk(self.root, va, |at| self.read_phys_u64(at))
    }

    /// Where the entries lie that translate `va`, whether it is translated by them or by arithmetic.
    pub fn entries_of(&self, va: VirtAddr, mut visit: impl FnMut(PhysAddr)) {
        let _ = self.mmu.walk(self.root, va, |at| {
            visit(at);
            self.read_phys_u64(at)
        });
    }

    /// Where the page tables of the kernel's half lie, those of the last level only where they are few.
    pub fn kernel_tables(&self, few: usize) -> Vec<PhysAddr> {
        let read = |at| self.read_phys_u64(at);
        self.mmu.tables(self.root, few, read)
    }

    fn read_phys_u64(&self, at: PhysAddr) -> Result<u64, PageFault> {
        let pfn = Pfn::containing(at, self.dump.page_shift());
        let within = self.within_page(at);
        self.dump.note_read(pfn, within, 8);
        match self.dump.page(pfn) {
            Ok(page) => Ok(bytes::u64_at(&page, within).unwrap_or(0)),
            Err(fault) if !self.dump.holds_part_of(pfn) => Err(fault),
            Err(_) => {
                let mut word = [0; 8];
                let fault = self.dump.read_part(pfn, within, &mut word);
                fault.map_or(Ok(u64::from_le_bytes(word)), Err)
            }
        }
    }

    /// The page that holds `va`, and the offset of `va` in it.
    ///
    /// # Errors
    /// If the address is not mapped or the dump lacks its page.
    pub fn page_at(&self, va: VirtAddr) -> Result<(Page<'_>, usize), MemFault> {
        self.page_for(va, self.dump.page_size())
    }

    /// As [`page_at`](Self::page_at), of which no more than `len` bytes from `va` on are looked at.
    fn page_for(&self, va: VirtAddr, len: usize) -> Result<(Page<'_>, usize), MemFault> {
        let phys = self.translate(va)?.phys;
        let shift = self.dump.page_shift();
        let rest = self.dump.page_size() - self.within_page(phys);
        let pfn = Pfn::containing(phys, shift);
        self.dump
            .note_read(pfn, self.within_page(phys), len.min(rest));
        let page = match self.in_passing {
            true => self.dump.page_in_passing(pfn),
            false => self.dump.page(pfn),
        };
        let page = page.map_err(|fault| self.tell(phys, MemFault::Page { va, fault }))?;
        Ok((page, self.within_page(phys)))
    }

    /// Fills `out` from memory at `va`, across pages; much at once in parallel, into place and
    /// past the page cache.
    ///
    /// # Errors
    /// The first page that can't be read; `out` is then partly filled.
    pub fn read(&self, va: VirtAddr, out: &mut [u8]) -> Result<(), MemFault> {
        let page_size = self.dump.page_size();
        if out.len() < MUCH.max(page_size * 2) {
            return self.read_cached(va, out);
        }
        let first = va.0.wrapping_neg() % page_size as u64;
        let (head, rest) = out.split_at_mut(first as usize);
        let (whole, tail) = rest.split_at_mut(rest.len() / page_size * page_size);
        let start = va.plus(first);
        let end = start.plus(whole.len() as u64);
        self.read_cached(va, head)?;
        let pages = whole.par_chunks_mut(page_size).with_min_len(8).enumerate();
        let fault = pages.find_map_first(|(index, page)| {
            let va = start.plus((index * page_size) as u64);
            self.read_page_into(va, page).err()
        });
        fault.map_or(Ok(()), Err)?;
        self.read_cached(end, tail)
    }

    /// Fills `page` from the whole page that begins at `va`.
    fn read_page_into(&self, va: VirtAddr, page: &mut [u8]) -> Result<(), MemFault> {
        let phys = self.translate(va)?.phys;
        let pfn = Pfn::containing(phys, self.dump.page_shift());
        self.dump.note_read(pfn, 0, page.len());
        let read = self.dump.read_page(pfn, page);
        read.map_err(|fault| self.tell(phys, MemFault::Page { va, fault }))
    }

    fn read_cached(&self, va: VirtAddr, out: &mut [u8]) -> Result<(), MemFault> {
        let mut at = va;
        let mut rest = out;
        while !rest.is_empty() {
            let len = match self.page_for(at, rest.len()) {
                Ok((page, within)) => {
                    let len = rest.len().min(page.len() - within);
                    let now = rest.get_mut(..len).unwrap_or_default();
                    now.copy_from_slice(bytes::slice(&page, within, len).unwrap_or_default());
                    len
                }
                Err(fault) => self.read_part(at, rest, fault)?,
            };
            at = at.plus(len as u64);
            rest = rest.get_mut(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads into `out` up to the end of a page of which the dump has a part, and says how much
    /// that is; `fault` is why the whole page can't be had.
    fn read_part(&self, va: VirtAddr, out: &mut [u8], fault: MemFault) -> Result<usize, MemFault> {
        let MemFault::Page { .. } = fault else {
            return Err(fault);
        };
        let phys = self.translate(va)?.phys;
        let pfn = Pfn::containing(phys, self.dump.page_shift());
        if !self.dump.holds_part_of(pfn) {
            return Err(fault);
        }
        let within = self.within_page(phys);
        let len = out.len().min(self.dump.page_size() - within);
        let out = out.get_mut(..len).unwrap_or_default();
        match self.dump.read_part(pfn, within, out) {
            None => Ok(len),
            Some(fault) => Err(MemFault::Page { va, fault }),
        }
    }

    fn within_page(&self, phys: PhysAddr) -> usize {
        (phys.0 & ((1 << self.dump.page_shift()) - 1)) as usize
    }

    /// `len` bytes at `va`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_bytes(&self, va: VirtAddr, len: usize) -> Result<Vec<u8>, MemFault> {
        let mut out = vec![0; len];
        self.read(va, &mut out)?;
        Ok(out)
    }

    /// `len` bytes at `va`, in place if they lie within one page.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn span(&self, va: VirtAddr, len: usize) -> Result<Span<'_>, MemFault> {
        match self.page_for(va, len) {
            Ok((page, start)) if len <= page.len() - start => Ok(Span::Page { page, start, len }),
            // Across pages, or of a page of which only a part is there.
            Ok(_) | Err(MemFault::Page { .. }) => self.read_bytes(va, len).map(Span::Copied),
            Err(fault) => Err(fault),
        }
    }

    /// A 64-bit word.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_u64(&self, va: VirtAddr) -> Result<u64, MemFault> {
        let word = self.span(va, 8)?;
        Ok(bytes::u64_at(&word, 0).unwrap_or(0))
    }

    /// A 32-bit word.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_u32(&self, va: VirtAddr) -> Result<u32, MemFault> {
        let word = self.span(va, 4)?;
        Ok(bytes::u32_at(&word, 0).unwrap_or(0))
    }

    /// A pointer.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_ptr(&self, va: VirtAddr) -> Result<VirtAddr, MemFault> {
        self.read_u64(va).map(VirtAddr)
    }
}

#[cfg(test)]
mod tests;
