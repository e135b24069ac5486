//! What of a page goes into a bundle.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::addr::{Pfn, VirtAddr};
use crate::dump::{PageReads, WORD};
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::page_kinds::PageKind;
use crate::kernel::walk::xarray;
use crate::subsys::mm::slab::SlabHeap;

/// What is kept of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// It stays behind.
    Nothing,
    /// All of it.
    Whole,
    /// The words that were read.
    Words,
    /// Besides, words that are kernel addresses: it was searched for these.
    Pointers,
}

/// By what the page is used for and how it was read. What the kernel put there at boot, its page
/// tables and its page structures hold nothing of users. What it allocated later may.
pub(super) fn keep(kind: PageKind, read: &PageReads) -> Keep {
    match kind {
        PageKind::Free
        | PageKind::CpuFree
        | PageKind::User
        | PageKind::Cache
        | PageKind::Shmem
        | PageKind::Zsmalloc
        | PageKind::Huge
        | PageKind::Offline
        | PageKind::Poisoned => Keep::Nothing,
        PageKind::Table | PageKind::Memmap | PageKind::BootMemmap => Keep::Whole,
        PageKind::Reserved | PageKind::Code if read.has_words() => Keep::Whole,
        _ if read.passed => Keep::Pointers,
        _ => Keep::Words,
    }
}

/// Addresses of the kernel's half: on all architectures they begin with 16 bits set. Text and
/// numbers don't.
fn is_kernel_address(word: &[u8]) -> bool {
    word.ends_with(&[0xff, 0xff])
}

impl Keep {
    /// Blanks what is not kept.
    pub(super) fn apply(self, read: &PageReads, page: &mut [u8]) {
        if self == Keep::Whole {
            return;
        }
        for (number, word) in page.chunks_exact_mut(WORD).enumerate() {
            let searched = self == Keep::Pointers && is_kernel_address(word);
            if !searched && !read.has_word(number) {
                word.fill(0);
            }
        }
    }
}

/// Caches whose objects crash and drgn read more of than vmleak does. They are the kernel's own
/// structures: no buffer is among them.
const FOR_DEBUGGERS: [&str; 8] = [
    "task_struct",
    "mm_struct",
    "signal_cache",
    "sighand_cache",
    "pid",
    "kmem_cache",
    "kmem_cache_node",
    "cred_jar",
];

/// Of the kernel image: where its data begin and end.
const IMAGE: [(&str, &str); 3] = [
    ("__start_ro_after_init", "__end_ro_after_init"),
    ("_sdata", "_edata"),
    ("__bss_start", "__bss_stop"),
];

/// Code that crash looks at when it starts, and how many pages from there on: whether interrupts
/// change their stack, where a task goes on, and whether functions keep frame pointers.
const CODE: [(&str, u64); 7] = [
    ("common_interrupt", 1),
    ("__schedule", 8),
    ("__x64_sys_fork", 1),
    ("__x64_sys_open", 1),
    ("__x64_sys_read", 1),
    ("do_futex", 1),
    ("vfs_read", 1),
];

/// What lies among it and is no data of the kernel's: the log of early boot, of which the kernel
/// took a copy.
const EARLY_LOG: &str = "__log_buf";

layout! {
    /// include/linux/pid_namespace.h; 4.15 and later (commit 95846ecf9dac).
    struct PidsLayout = "pid_namespace" in "kernel/pid.c" {
        maybe numbers = "idr.idr_rt.xa_head",
    }
}

layout! {
    /// include/linux/pid.h
    struct PidLayout = "pid" in "kernel/pid.c" {
        need level = "level",
    }
}

/// PID_MAX_LIMIT.
const MAX_PIDS: usize = 1 << 22;

/// The numbers of tasks with what they stand for: debuggers find tasks by them, vmleak by their
/// lists.
fn add_pids(kernel: &Kernel, pages: &mut BTreeMap<Pfn, PageReads>) {
    let at = kernel.symbol("init_pid_ns");
    let layouts = kernel.layout::<PidsLayout>().ok();
    let layouts = layouts.zip(kernel.layout::<PidLayout>().ok());
    let Some((at, (pids, pid))) = at.zip(layouts) else {
        return;
    };
    let Some(numbers) = pids.numbers else {
        return;
    };
    let head = at.plus(u64::from(numbers.offset));
    let mut found: Vec<(VirtAddr, usize)> = Vec::new();
    let node = |at, len| found.push((at, len));
    let tasks = xarray::with_nodes(kernel, head, MAX_PIDS, node);
    let tasks = tasks.into_iter().flat_map(|tasks| tasks.value);
    let tasks: Vec<_> = tasks.map(|(_, at)| (at, pid.struct_size)).collect();
    for (at, len) in found.into_iter().chain(tasks) {
        for part in kernel.space.by_page(at, len) {
            if let Ok(mapping) = kernel.space.translate(at.plus(part.start as u64)) {
                let shift = kernel.dump().page_shift();
                let pfn = Pfn::containing(mapping.phys, shift);
                let within = mapping.phys.0 - pfn.start(shift).0;
                pages
                    .entry(pfn)
                    .or_default()
                    .add(within as usize, part.len());
            }
        }
    }
}

/// Adds what debuggers read besides, so that they open the bundle: the kernel's data, those of each
/// CPU, the table of the memory's sections, the text by which it is known, and whole objects of some
/// caches where vmleak read a part.
pub(super) fn add_for_debuggers(
    kernel: &Kernel,
    heap: &SlabHeap<'_>,
    pages: &mut BTreeMap<Pfn, PageReads>,
) {
    let size = kernel.dump().page_size() as u64;
    let named = IMAGE
        .iter()
        .filter_map(|(start, end)| Some(kernel.symbol(start)?.0..kernel.symbol(end)?.0));
    let log = kernel.symbol(EARLY_LOG).map(|at| {
        let room = kernel.symbol_room(EARLY_LOG).unwrap_or(0);
        at.0..at.plus(room).0
    });
    let is_log = |at: u64| log.as_ref().is_some_and(|log| log.contains(&at));
    let banner = kernel.symbol("linux_banner");
    let code = CODE
        .iter()
        .filter_map(|(name, pages)| Some((kernel.symbol(name)?, *pages)));
    let texts = banner.map(|at| (at, 1)).into_iter().chain(code);
    let texts = texts.map(|(at, pages)| at.0..at.plus(pages * size).0);
    let ranges = named.chain(texts).chain(of_cpus(kernel));
    for range in ranges.chain(section_roots(kernel)) {
        for at in (range.start & !(size - 1)..range.end).step_by(size as usize) {
            if is_log(at) {
                continue;
            }
            if let Ok(mapping) = kernel.space.translate(VirtAddr(at)) {
                let pfn = Pfn::containing(mapping.phys, kernel.dump().page_shift());
                pages.entry(pfn).or_default().add(0, size as usize);
            }
        }
    }
    add_objects_of_debuggers(kernel, heap, pages);
    add_pids(kernel, pages);
    add_tables(kernel, pages);
}

/// The variables that each CPU has.
fn of_cpus(kernel: &Kernel) -> Vec<Range<u64>> {
    let bounds = kernel.symbol("__per_cpu_start");
    let bounds = bounds.zip(kernel.symbol("__per_cpu_end"));
    let (Some((start, end)), Ok(cpus)) = (bounds, Cpus::read(kernel)) else {
        return Vec::new();
    };
    let bytes = end.0.saturating_sub(start.0);
    let areas = cpus.instances(start);
    areas.map(|(_, at)| at.0..at.plus(bytes).0).collect()
}

/// Bytes of the table, with 4 KiB pages and up to 52 bits of addresses (NR_SECTION_ROOTS).
const SECTION_ROOTS: u64 = 16 << 10;

/// The table that `mem_section` points to; a variable of itself in kernels whose memory is small.
fn section_roots(kernel: &Kernel) -> Option<Range<u64>> {
    let table = kernel.u64_of("mem_section").value()?;
    let is_address = table >> 63 != 0;
    is_address.then(|| table..table.saturating_add(SECTION_ROOTS))
}

/// Tables of the last level below one entry of the root that are few: of what is mapped for itself,
/// as the entries of CPUs into the kernel.
const FEW_TABLES: usize = 64;

/// Page tables: vmleak translates the direct map by arithmetic, others walk, and look at more.
fn add_tables(kernel: &Kernel, pages: &mut BTreeMap<Pfn, PageReads>) {
    let shift = kernel.dump().page_shift();
    let size = kernel.dump().page_size();
    for table in kernel.space.kernel_tables(FEW_TABLES) {
        let table = Pfn::containing(table, shift);
        pages.entry(table).or_default().add(0, size);
    }
    let all: Vec<Pfn> = pages.keys().copied().collect();
    for pfn in all {
        let start = pfn.start(shift);
        let direct = kernel.space.direct_map_address(start);
        // The image is mapped twice.
        for at in [Some(direct), kernel.space.image_address(start)] {
            kernel.space.entries_of(at.unwrap_or(direct), |entry| {
                let within = (entry.0 & ((1 << shift) - 1)) as usize;
                let table = pages.entry(Pfn::containing(entry, shift)).or_default();
                table.add(within, WORD);
            });
        }
    }
}

fn add_objects_of_debuggers(
    kernel: &Kernel,
    heap: &SlabHeap<'_>,
    pages: &mut BTreeMap<Pfn, PageReads>,
) {
    let wanted: Vec<bool> = heap
        .caches()
        .iter()
        .map(|cache| FOR_DEBUGGERS.contains(&cache.name.as_str()))
        .collect();
    for slab in heap.slabs() {
        if wanted.get(slab.cache as usize) == Some(&true) {
            add_objects(kernel, heap, slab, pages);
        }
    }
}

/// Words of an object that say more than that it is free: that is one.
const USED: usize = 2;

fn add_objects(
    kernel: &Kernel,
    heap: &SlabHeap<'_>,
    slab: &crate::subsys::mm::slab::pages::Slab,
    pages: &mut BTreeMap<Pfn, PageReads>,
) {
    let Some(geometry) = heap.geometry(slab) else {
        return;
    };
    let shift = kernel.dump().page_shift();
    let stride = geometry.stride() as usize;
    for index in 0..geometry.objects() {
        let Some(start) = geometry.address_of(index).offset_from(geometry.base()) else {
            continue;
        };
        let (start, page) = (start as usize, 1usize << shift);
        let place = |byte: usize| (Pfn(slab.pfn.0 + (byte >> shift) as u64), byte % page);
        let words = (start..start + stride).step_by(WORD).filter(|byte| {
            let (pfn, within) = place(*byte);
            let read = pages.get(&pfn);
            read.is_some_and(|read| read.has_word(within / WORD))
        });
        if words.take(USED).count() < USED {
            continue;
        }
        let mut at = start;
        while at < start + stride {
            let (pfn, within) = place(at);
            let len = (page - within).min(start + stride - at);
            pages.entry(pfn).or_default().add(within, len);
            at += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_keeps_addresses_and_what_was_read_and_no_text() {
        let mut page = vec![0u8; 64];
        page[..8].copy_from_slice(b"password");
        page[8..16].copy_from_slice(&0xffff_8880_1234_5678u64.to_le_bytes());
        page[16..24].copy_from_slice(b"was read");
        let mut read = PageReads::default();
        read.add(16, 8);
        read.passed = true;
        let keep = keep(PageKind::Slab, &read);
        assert_eq!(keep, Keep::Pointers);
        let mut kept = page.clone();
        keep.apply(&read, &mut kept);
        page[..8].fill(0);
        assert_eq!(kept, page);
        let mut words = page.clone();
        Keep::Words.apply(&read, &mut words);
        page[8..16].fill(0);
        assert_eq!(words, page);
    }

    #[test]
    fn what_is_of_users_never_leaves() {
        let mut read = PageReads::default();
        read.add(0, 4096);
        for kind in [
            PageKind::User,
            PageKind::Cache,
            PageKind::Free,
            PageKind::Shmem,
        ] {
            assert_eq!(keep(kind, &read), Keep::Nothing);
        }
        assert_eq!(keep(PageKind::Reserved, &read), Keep::Whole);
        assert_eq!(keep(PageKind::Kernel, &read), Keep::Words);
    }
}
