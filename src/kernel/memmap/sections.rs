//! The table of memory sections: which there are, and where their page structures lie.
//!
//! A table that is missing is made up for by the page tables: the map is virtually contiguous
//! (CONFIG_SPARSEMEM_VMEMMAP), and mapped just where sections are present.

use super::{Section, SectionLayout};
use crate::addr::{Pfn, VirtAddr};
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError};
use crate::space::MemFault;

const SECTION_HAS_MEM_MAP: u64 = 1 << 1;
/// 4.13 and later (commit 2d070eab2e82): not on memory of devices, nor on what was taken offline.
const SECTION_IS_ONLINE: u64 = 1 << 2;
/// The low bits are flags; the value is a multiple of the size of `struct page` without them.
const SECTION_FLAGS: u64 = 0x3f;

/// 64 page structures of free memory take some 80 bytes of a compressed dump; there is room for
/// five times less.
const PAGES_PER_BYTE: u64 = 4;
/// Pages (4 GiB) that any dump may have.
const SMALL: u64 = 1 << 20;

/// The sections found.
pub(super) struct Sections {
    /// By address.
    pub(super) found: Vec<Section>,
    /// Pages of those that are not seen.
    pub(super) lost: u64,
}

/// What is known before the table is read.
pub(super) struct Shape {
    pub(super) section_pages: u64,
    pub(super) struct_page: u64,
}

/// Numbers of sections, from the first to one past the last.
type Gap = std::ops::Range<u64>;

impl Sections {
    /// # Errors
    /// If the table can't be had and nothing else tells where page structures are.
    pub(super) fn find(kernel: &Kernel, shape: &Shape) -> Result<Self, KernelError> {
        let layout: SectionLayout = kernel.layout()?;
        let page_size = kernel.dump().page_size() as u64;
        let per_root = (page_size / layout.struct_size as u64).max(1);
        // A header that lies about its size costs no more than the architecture's whole reach.
        let reach = kernel.space.physical_bits() - kernel.dump().page_shift();
        let max_pfn = kernel.dump().max_pfn().min(1 << reach);
        let sections = max_pfn.div_ceil(shape.section_pages);
        let plausible = kernel.dump().file_bytes().saturating_mul(PAGES_PER_BYTE) + SMALL;
        let most = (plausible / shape.section_pages).max(1) as usize;
        let mut all = Self {
            found: Vec::new(),
            lost: 0,
        };
        let (mut beyond, mut gaps, mut fault) = (0u64, Vec::new(), None);
        let at = kernel.need_symbol("mem_section")?;
        let roots = roots(kernel, at);
        for root in 0..sections.div_ceil(per_root) {
            let first = root * per_root;
            let table = roots.and_then(|roots| kernel.space.read_ptr(roots.plus(root * 8)));
            let entries = table.and_then(|table| match table.is_null() {
                true => Ok(Vec::new()),
                false => kernel.space.read_bytes(table, page_size as usize),
            });
            let entries = match entries {
                Ok(entries) => entries,
                Err(why) => {
                    fault.get_or_insert(why);
                    gaps.push(first..sections.min(first + per_root));
                    continue;
                }
            };
            for index in 0..entries.len() / layout.struct_size {
                let offset = index * layout.struct_size + layout.map.offset as usize;
                let map = u64_at(&entries, offset).unwrap_or(0);
                if map & SECTION_HAS_MEM_MAP == 0 {
                    continue;
                }
                if all.found.len() < most {
                    all.found.push(Section {
                        start: Pfn((first + index as u64) * shape.section_pages),
                        bias: VirtAddr(map & !SECTION_FLAGS),
                        page_ext: layout.page_ext_of(&entries, index),
                        block_flags: layout.block_flags_of(&entries, index),
                        online: map & SECTION_IS_ONLINE != 0,
                    });
                } else {
                    beyond += 1;
                }
            }
        }
        if let Some(fault) = fault {
            all.make_up(kernel, shape, &gaps, fault, most)?;
        }
        if beyond > 0 {
            kernel.diag.warn_many(
                "memmap-section-lost",
                "sections of memory are left out, since a file this small can't hold their page structures: it is cut short, or its memory is damaged",
                beyond,
            );
            all.lost += beyond * shape.section_pages;
        }
        Ok(all)
    }

    /// Adds the sections in `gaps` whose page structures are mapped.
    fn make_up(
        &mut self,
        kernel: &Kernel,
        shape: &Shape,
        gaps: &[Gap],
        fault: MemFault,
        most: usize,
    ) -> Result<(), KernelError> {
        let pages: u64 =
            gaps.iter().map(|gap| gap.end - gap.start).sum::<u64>() * shape.section_pages;
        let mib = (pages * kernel.dump().page_size() as u64) >> 20;
        let Some(bias) = self.contiguous(kernel) else {
            if self.found.is_empty() {
                let what = "the table of memory sections";
                return Err(KernelError::Memory { what, fault });
            }
            kernel.diag.warn("memmap-section-lost", format!("a table of memory sections is missing ({fault}): slabs in its {mib} MiB are not seen"));
            self.lost += pages;
            return Ok(());
        };
        let space = kernel.space.quiet();
        for section in gaps.iter().cloned().flatten() {
            let start = Pfn(section * shape.section_pages);
            match space.translate(bias.plus(start.0 * shape.struct_page)) {
                Ok(_) if self.found.len() < most => self.found.push(Section {
                    start,
                    bias,
                    page_ext: VirtAddr(0),
                    block_flags: VirtAddr(0),
                    online: true,
                }),
                // Not mapped: a hole, unless this map is no array after all.
                Ok(_) | Err(_) => self.lost += shape.section_pages,
            }
        }
        self.found.sort_by_key(|section| section.start);
        kernel.diag.warn("memmap-section-lost", format!("a table of memory sections is missing ({fault}): in its {mib} MiB those are taken whose page structures are mapped; what is kept beside them (owners of pages) is not seen"));
        Ok(())
    }

    /// The address that the structure of page 0 has where all are in one array: by the sections
    /// that are seen, else by the variable (arch/x86/kernel/head64.c).
    fn contiguous(&self, kernel: &Kernel) -> Option<VirtAddr> {
        if let Some(first) = self.found.first() {
            let same = self.found.iter().all(|section| section.bias == first.bias);
            return same.then_some(first.bias);
        }
        let base = kernel.symbol("vmemmap_base")?;
        kernel
            .space
            .read_ptr(base)
            .ok()
            .filter(|base| !base.is_null())
    }
}

/// The table of roots: the variable itself up to 4.14, what it points to since (commit
/// 83e3c48729d9). It is told by what it leads to: a root is the address of a page, and a section
/// begins with an address that has flags.
fn roots(kernel: &Kernel, at: VirtAddr) -> Result<VirtAddr, MemFault> {
    let first = kernel.space.read_ptr(at)?;
    let below = kernel.space.quiet().read_u64(first);
    let noted = kernel.vmcoreinfo().symbol("mem_section");
    match below {
        Ok(section) if section & SECTION_HAS_MEM_MAP != 0 => Ok(at),
        Ok(_) => Ok(first),
        // Then the note: of a pointer it has the value.
        Err(_) if noted == Some(at) => Ok(at),
        Err(_) => Ok(first),
    }
}
