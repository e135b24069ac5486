//! What holds memory cgroups that were removed: the pages that are charged to them still, and the
//! files that these are of.
//!
//! A page is charged by a word of its structure: to the cgroup, or to one of its obj_cgroups. What
//! cgroups are held by otherwise (swap, sockets, references) is not told by pages.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, layout};
use crate::kernel::memmap::{Chunk, Memmap};
use crate::kernel::page_kinds::{PageKind, PageKinds};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::fs::FileNames;

layout! {
    /// include/linux/mm_types.h
    struct ChargedPageLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        /// `mem_cgroup` up to 5.10 (commit bcfe06bf2622); `obj_cgroups` of slabs is in the same word.
        maybe charged = "memcg_data" | "mem_cgroup",
        need mapping = "mapping",
    }
}

layout! {
    /// include/linux/memcontrol.h, 5.9 and later.
    struct ObjcgLayout = "obj_cgroup" in "mm/memcontrol.c" {
        need memcg = "memcg",
    }
}

/// MEMCG_DATA_OBJCGS or OBJEXTS: of a slab; and all bits that are no address.
const OF_SLAB: u64 = 1;
const FLAGS: u64 = 7;
/// Files that are named of one cgroup.
const NAMED: usize = 4;

/// A file of which pages are charged to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldFile {
    /// As in `files`; `None` if no name is in memory.
    pub path: Option<String>,
    /// Its number.
    pub inode: u64,
    /// Bytes of it that are charged.
    pub bytes: u64,
}

/// Pages that are charged to one cgroup itself, not to those below it, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeldBy {
    /// Of processes.
    pub anon_bytes: u64,
    /// Of the page cache.
    pub file_bytes: u64,
    /// Of tmpfs and shared memory.
    pub shmem_bytes: u64,
    /// Of the kernel: stacks, page tables, pipes. Slabs are not among them.
    pub kernel_bytes: u64,
    /// How many files they are of.
    pub files: u64,
    /// Those with the most, four at most.
    pub largest: Vec<HeldFile>,
}

/// Charged pages: cgroup, what they are, the mapping of files, how many.
type Charge = (VirtAddr, PageKind, VirtAddr, u64);

/// Of each of the `removed` cgroups; nothing where the types do not tell charges.
pub(super) fn held(
    kernel: &Kernel,
    removed: &FxHashSet<VirtAddr>,
) -> Result<FxHashMap<VirtAddr, HeldBy>, KernelError> {
    let page: ChargedPageLayout = kernel.layout()?;
    let Some(charged) = page.charged.filter(|_| !removed.is_empty()) else {
        return Ok(FxHashMap::default());
    };
    let memmap = Memmap::find(kernel)?;
    let kinds = PageKinds::new(kernel, &memmap)?;
    let reader = Reader {
        objcg: kernel.layout().ok(),
        mapping: page.mapping,
        charged,
        kernel,
        removed,
    };
    let charges = memmap.scan(kernel, |_| (), |chunk| reader.charges(chunk, &kinds));
    let mut found: FxHashMap<VirtAddr, HeldBy> = FxHashMap::default();
    let mut files: FxHashMap<(VirtAddr, VirtAddr), u64> = FxHashMap::default();
    let page_bytes = kernel.dump().page_size() as u64;
    for (memcg, kind, mapping, pages) in charges.into_iter().flatten() {
        let bytes = pages.saturating_mul(page_bytes);
        let held = found.entry(memcg).or_default();
        *held.of(kind) += bytes;
        if matches!(kind, PageKind::Cache | PageKind::Shmem) {
            *files.entry((memcg, mapping)).or_default() += bytes;
        }
    }
    name(kernel, files, &mut found)?;
    Ok(found)
}

struct Reader<'k> {
    kernel: &'k Kernel,
    charged: Field,
    mapping: Field,
    objcg: Option<ObjcgLayout>,
    removed: &'k FxHashSet<VirtAddr>,
}

impl Reader<'_> {
    fn charges(&self, chunk: &Chunk<'_>, kinds: &PageKinds) -> Vec<Charge> {
        let mut found = Vec::new();
        let mut known: FxHashMap<u64, Option<VirtAddr>> = FxHashMap::default();
        kinds.classify(chunk, |record, _, order, kind| {
            let word = self.charged.get(record);
            // What is free or a slab has other things there.
            let other = matches!(kind, PageKind::Free | PageKind::Slab | PageKind::Unknown);
            if other || word & OF_SLAB != 0 || word >> 63 == 0 {
                return;
            }
            let memcg = known.entry(word).or_insert_with(|| self.removed_of(word));
            if let Some(memcg) = memcg {
                let mapping = VirtAddr(self.mapping.get(record) & !FLAGS);
                found.push((*memcg, kind, mapping, 1 << order.min(40)));
            }
        });
        found
    }

    /// The removed cgroup that a word means, itself or by an obj_cgroup.
    fn removed_of(&self, word: u64) -> Option<VirtAddr> {
        let at = VirtAddr(word & !FLAGS);
        if self.removed.contains(&at) {
            return Some(at);
        }
        let memcg = at.plus(u64::from(self.objcg.as_ref()?.memcg.offset));
        let memcg = self.kernel.space.read_ptr(memcg).ok()?;
        self.removed.contains(&memcg).then_some(memcg)
    }
}

impl HeldBy {
    fn of(&mut self, kind: PageKind) -> &mut u64 {
        match kind {
            PageKind::User => &mut self.anon_bytes,
            PageKind::Cache => &mut self.file_bytes,
            PageKind::Shmem => &mut self.shmem_bytes,
            _ => &mut self.kernel_bytes,
        }
    }
}

fn name(
    kernel: &Kernel,
    files: FxHashMap<(VirtAddr, VirtAddr), u64>,
    found: &mut FxHashMap<VirtAddr, HeldBy>,
) -> Result<(), KernelError> {
    if files.is_empty() {
        return Ok(());
    }
    let names = FileNames::new(kernel)?;
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|((_, mapping), bytes)| (Reverse(*bytes), *mapping));
    for ((memcg, mapping), bytes) in files {
        let Some(held) = found.get_mut(&memcg) else {
            continue;
        };
        held.files += 1;
        if held.largest.len() < NAMED
            && let Some(file) = names.of_mapping(mapping)
        {
            held.largest.push(HeldFile {
                path: file.path,
                inode: file.inode,
                bytes,
            });
        }
    }
    Ok(())
}
