//! The kernels that lie in memory, by their page tables alone: for dumps in which no VMCOREINFO
//! is found, as of kernels built without it.
//!
//! The root of a kernel's own page tables lies in the image that they map, maps nothing of the
//! lower half, and leads to the image where every kernel has it. Where a hypervisor saved CR3,
//! that leads there; else each page is looked at. What is found is believed only if the image
//! holds `linux_banner` and an `init_uts_ns` of the same release.
//!
//! Source: arch/x86/kernel/head_64.S, arch/x86/mm/init_64.c, init/version.c; QEMU's
//! target/i386/arch_dump.c (`QEMUCPUState`).

use std::ops::Range;

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::{FIVE_LEVELS, FOUR_LEVELS, START_KERNEL_MAP, decode};
use crate::addr::{Pfn, PhysAddr, SMALLEST_PAGE};
use crate::bytes::{c_string, slice, u64_at};
use crate::dump::{Dump, NoteOrigin, Page, VmcoreInfo};
use crate::space::mmu::{Entry, Level, MmuSpec};

const PAGE: u64 = SMALLEST_PAGE as u64;
const ENTRIES: usize = 512;
/// What one entry of a pmd maps.
const BLOCK: u64 = 1 << 21;
/// Where `_text` is linked: `CONFIG_PHYSICAL_START`, which nobody changes.
const TEXT: u64 = START_KERNEL_MAP + (16 << 20);
/// From here on are fixed mappings and modules: the image's mapping is 1 GiB at most.
const IMAGE_MAPPING: u64 = 1 << 30;
/// An image is no larger than that, with all its data.
const LARGEST_IMAGE: u64 = 256 << 20;

/// In QEMU's note: after version, size, 18 registers and 10 segments.
const QEMU_CR3: usize = 8 + 18 * 8 + 10 * 24 + 3 * 8;
const QEMU_CR4: usize = QEMU_CR3 + 8;
const CR4_LA57: u64 = 1 << 12;
/// The second half of a pair of roots is that of user space (page table isolation).
const PTI_PAIR: u64 = PAGE;
/// Roots that are looked into.
const MOST: usize = 64;

const BANNER: &[u8] = b"Linux version ";
/// Bytes of a field of `struct new_utsname`, and the numbers of release and machine.
const UTS_FIELD: usize = 65;
const UTS_RELEASE: usize = 2;
const UTS_MACHINE: usize = 4;

/// What a kernel's note would say of where it is, for every kernel that is found.
pub(super) fn notes(dump: &Dump) -> Vec<VmcoreInfo> {
    let by_cpus = found(dump, roots_of_cpus(dump), NoteOrigin::CpuRegisters);
    match by_cpus.is_empty() {
        false => by_cpus,
        true => found(dump, roots_by_shape(dump), NoteOrigin::PageTables),
    }
}

fn found(dump: &Dump, roots: Vec<(PhysAddr, bool)>, origin: NoteOrigin) -> Vec<VmcoreInfo> {
    let mut kernels: Vec<Image> = Vec::new();
    let mut known = FxHashSet::default();
    let mut tried = 0;
    for (root, five) in roots {
        let Some(table) = image_pmd(dump, root, five) else {
            continue;
        };
        // All roots of one kernel lead to one table, and only so many kernels are in a memory.
        if known.contains(&table) || tried == MOST {
            continue;
        }
        tried += 1;
        if let Some(image) = Image::below(dump, root, table, five) {
            known.insert(table);
            kernels.push(image);
        }
    }
    let notes = kernels.iter().filter_map(|image| image.note(dump, origin));
    notes.collect()
}

/// What CR3 of each CPU says, and whether there are five levels.
fn roots_of_cpus(dump: &Dump) -> Vec<(PhysAddr, bool)> {
    let states = dump.notes().qemu_states.iter();
    let mut roots = Vec::new();
    for state in states {
        let (Some(cr3), Some(cr4)) = (u64_at(state, QEMU_CR3), u64_at(state, QEMU_CR4)) else {
            continue;
        };
        let (at, five) = (cr3 & super::ADDRESS, cr4 & CR4_LA57 != 0);
        roots.push((PhysAddr(at & !PTI_PAIR), five));
        roots.push((PhysAddr(at), five));
    }
    roots
}

/// Pages that look like the root of a kernel's own tables.
fn roots_by_shape(dump: &Dump) -> Vec<(PhysAddr, bool)> {
    let pfns: Vec<Range<u64>> = dump.pfns();
    let pages = pfns.into_par_iter().flat_map(|pfns| pfns.into_par_iter());
    let roots = pages.flat_map_iter(|pfn| {
        let at = PhysAddr(pfn.saturating_mul(PAGE));
        let levels = match table(dump, at) {
            Some(page) if maps_upper_half_alone(&page) => [Some(false), Some(true)],
            _ => [None, None],
        };
        let levels = levels.into_iter().flatten();
        levels.filter_map(move |five| image_pmd(dump, at, five).map(|_| (at, five)))
    });
    roots.collect()
}

fn table(dump: &Dump, at: PhysAddr) -> Option<Page<'_>> {
    let page = dump.page_in_passing(Pfn::containing(at, dump.page_shift()));
    page.ok().filter(|page| page.len() as u64 == PAGE)
}

fn entry(page: &[u8], index: usize) -> u64 {
    u64_at(page, index * 8).unwrap_or(0)
}

fn maps_upper_half_alone(page: &[u8]) -> bool {
    entry(page, ENTRIES - 1) & 1 != 0 && (0..ENTRIES / 2).all(|index| entry(page, index) == 0)
}

/// How many entries of a table say something.
fn entries_of(page: &[u8]) -> usize {
    (0..ENTRIES)
        .filter(|index| entry(page, *index) & 1 != 0)
        .count()
}

fn spec(five: bool) -> MmuSpec {
    match five {
        true => FIVE_LEVELS,
        false => FOUR_LEVELS,
    }
}

/// The table that has the image's blocks: by the entries that lead to `START_KERNEL_MAP`.
fn image_pmd(dump: &Dump, root: PhysAddr, five: bool) -> Option<PhysAddr> {
    let levels = spec(five).levels;
    let mut at = root;
    for level in levels.get(..levels.len().checked_sub(2)?)? {
        at = below(dump, at, level)?;
    }
    Some(at)
}

fn below(dump: &Dump, at: PhysAddr, level: &Level) -> Option<PhysAddr> {
    let index = START_KERNEL_MAP >> level.shift & (ENTRIES as u64 - 1);
    let page = table(dump, at)?;
    match decode(entry(&page, index as usize), level, false) {
        Entry::Table { at, .. } if at.0 != 0 => Some(at),
        _ => None,
    }
}

/// A kernel's image as its page tables map it.
struct Image {
    five: bool,
    /// Of the table in the image that its own mapping hangs on.
    root: PhysAddr,
    /// Bytes from `START_KERNEL_MAP` to the first that is mapped, and to the last.
    start: u64,
    end: u64,
    /// Where the first lies.
    phys: u64,
}

impl Image {
    /// The image that the tables below `root` map, which may be those of a process.
    fn below(dump: &Dump, root: PhysAddr, pmd: PhysAddr, five: bool) -> Option<Self> {
        let mapped = mapped_blocks(dump, pmd);
        let &(start, phys) = mapped.first()?;
        let linear = |(at, to): &(u64, u64)| to.wrapping_sub(*at) == phys.wrapping_sub(start);
        let last = mapped.iter().rev().find(|block| linear(block))?.0;
        let end = (last + BLOCK).next_multiple_of(BLOCK);
        if end - start > LARGEST_IMAGE {
            return None;
        }
        let mut image = Self {
            five,
            root,
            start,
            end,
            phys,
        };
        image.root = image.own_root(dump, root)?;
        Some(image)
    }

    /// The kernel's own root lies in its image, has no lower half, and of all such pages says
    /// most: there are some that boot code used.
    fn own_root(&self, dump: &Dump, any: PhysAddr) -> Option<PhysAddr> {
        let highest = entry(&table(dump, any)?, ENTRIES - 1) & super::ADDRESS;
        let pages =
            (self.phys..self.phys.saturating_add(self.end - self.start)).step_by(PAGE as usize);
        let pages: Vec<u64> = pages.collect();
        let roots = pages.into_par_iter().filter_map(|at| {
            let page = table(dump, PhysAddr(at))?;
            let same = entry(&page, ENTRIES - 1) & super::ADDRESS == highest;
            let fits = same && maps_upper_half_alone(&page);
            fits.then(|| (entries_of(&page), PhysAddr(at)))
        });
        roots.max().map(|(_, at)| at)
    }

    /// The bytes of a part of the image; what is missing of it is zeros.
    fn bytes(&self, dump: &Dump) -> Vec<u8> {
        let mut out = vec![0; (self.end - self.start) as usize];
        let pages = out.par_chunks_mut(PAGE as usize).enumerate();
        pages.for_each(|(index, page)| {
            let at = PhysAddr(self.phys.wrapping_add(index as u64 * PAGE));
            if dump
                .read_page(Pfn::containing(at, dump.page_shift()), page)
                .is_err()
            {
                page.fill(0);
            }
        });
        out
    }

    /// What the kernel's note would say, if the image is one of Linux.
    fn note(&self, dump: &Dump, origin: NoteOrigin) -> Option<VmcoreInfo> {
        let bytes = self.bytes(dump);
        let release = release_of(&bytes)?;
        let phys_base = self.phys.wrapping_sub(self.start).cast_signed();
        let text = START_KERNEL_MAP + self.start;
        let root = START_KERNEL_MAP + self.root.0.wrapping_sub(self.phys) + self.start;
        let mut note = format!(
            "OSRELEASE={release}\nPAGESIZE={PAGE}\nSYMBOL(_stext)={text:x}\n\
             SYMBOL(swapper_pg_dir)={root:x}\nNUMBER(phys_base)={phys_base}\n\
             KERNELOFFSET={:x}\nNUMBER(KERNEL_IMAGE_SIZE)={}\nNUMBER(pgtable_l5_enabled)={}\n",
            text.wrapping_sub(TEXT),
            self.end,
            u64::from(self.five),
        );
        if let [id] = build_ids(&bytes).as_slice() {
            note += &format!("BUILD-ID={id}\n");
        }
        Some(VmcoreInfo::parse(note.as_bytes()).from(origin))
    }
}

/// What the image's mapping has: offsets from its start, and physical addresses; of what is
/// mapped by small pages the first and last one of each table.
fn mapped_blocks(dump: &Dump, pmd: PhysAddr) -> Vec<(u64, u64)> {
    let levels = FOUR_LEVELS.levels;
    let [.., block, small] = levels.as_ref() else {
        return Vec::new();
    };
    let Some(page) = table(dump, pmd) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for index in 0..(IMAGE_MAPPING / BLOCK) as usize {
        let offset = index as u64 * BLOCK;
        match decode(entry(&page, index), block, false) {
            Entry::Leaf { at, .. } => found.push((offset, at.0 & !(BLOCK - 1))),
            Entry::Table { at, .. } => {
                let Some(page) = table(dump, at) else {
                    continue;
                };
                let leaf = |index: usize| match decode(entry(&page, index), small, true) {
                    Entry::Leaf { at, .. } => Some((offset + index as u64 * PAGE, at.0)),
                    _ => None,
                };
                found.extend((0..ENTRIES).find_map(leaf));
                found.extend((0..ENTRIES).rev().find_map(leaf));
            }
            Entry::Absent => {}
        }
    }
    found
}

/// `uname -r`, as both `linux_banner` and a `struct new_utsname` have it. Of the latter there may be
/// several: which one `init_uts_ns` has is not told.
fn release_of(image: &[u8]) -> Option<String> {
    memchr::memmem::find_iter(image, BANNER).find_map(|at| {
        let rest = image.get(at + BANNER.len()..)?;
        let end = memchr::memchr2(b' ', 0, rest.get(..UTS_FIELD)?)?;
        let release = rest.get(..end).filter(|name| !name.is_empty())?;
        let of_uts = memchr::memmem::find_iter(image, b"Linux\0").any(|at| {
            let field = |number: usize| {
                let field = slice(image, at + number * UTS_FIELD, UTS_FIELD);
                field.map(c_string).unwrap_or_default()
            };
            field(UTS_RELEASE).as_bytes() == release && field(UTS_MACHINE) == "x86_64"
        });
        of_uts.then(|| String::from_utf8_lossy(release).into_owned())
    })
}

/// All build-ids in the image: of the kernel, and of what it carries for user space.
fn build_ids(image: &[u8]) -> Vec<String> {
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let ids = memchr::memmem::find_iter(image, NOTE).filter_map(|at| {
        let id = slice(image, at + NOTE.len(), 20)?;
        Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
    });
    ids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use vmleak_synth::write::images::{Image as Pages, lime};
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    /// What is found is what the kernel's own note says.
    #[test]
    fn the_page_tables_say_what_the_note_says() {
        for paging in [PagingLevels::Four, PagingLevels::Five] {
            let machine = Machine::build(Era::V6_12, paging, &Scenario::standard());
            let bytes = lime::lime(&Pages::of(&machine));
            let dump = Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect("it opens");
            let written = VmcoreInfo::parse(machine.vmcoreinfo.as_bytes());
            let roots = roots_by_shape(&dump);
            let at = written.symbol("swapper_pg_dir").expect("a root");
            let base = written.number("phys_base").expect("a base").cast_unsigned();
            let root = PhysAddr((at.0 - START_KERNEL_MAP).wrapping_add(base));
            let five = paging == PagingLevels::Five;
            assert!(roots.contains(&(root, five)), "{roots:?} {root:?}");
            let image =
                image_pmd(&dump, root, five).and_then(|t| Image::below(&dump, root, t, five));
            let image = image.expect("an image");
            assert_eq!(
                release_of(&image.bytes(&dump)).as_deref(),
                written.release()
            );
            let found = notes(&dump);
            let [note] = found.as_slice() else {
                panic!("{found:?}");
            };
            assert_eq!(note.symbol("_stext"), written.symbol("_stext"));
            assert_eq!(note.number("phys_base"), written.number("phys_base"));
            assert_eq!(note.kernel_offset(), written.kernel_offset());
            assert_eq!(
                note.symbol("swapper_pg_dir"),
                written.symbol("swapper_pg_dir")
            );
        }
    }
}
