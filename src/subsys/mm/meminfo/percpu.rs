//! Memory behind per-CPU variables (mm/percpu.c), and per-CPU counters (lib/percpu_counter.c).

use super::reader::Reader;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{KernelError, walk};

/// Slots are by logarithm of the free size: some 20 of each type.
const MAX_SLOTS: u64 = 256;
/// Chunks have some 2 MiB each.
const MAX_CHUNKS: u64 = 1 << 20;

layout! {
    /// mm/percpu-internal.h
    struct ChunkLayout = "pcpu_chunk" in "mm/percpu.c" {
        need list = "list",
        need populated = "nr_populated",
    }
}

/// Pages behind per-CPU variables, all CPUs together.
#[derive(Clone, Copy, Debug)]
pub(super) struct PercpuPages {
    /// As /proc/meminfo counts them.
    pub(super) all: u64,
    /// Of these, set aside at boot: they were never part of MemTotal.
    pub(super) boot: Option<u64>,
    /// Taken after boot, for each possible CPU.
    pub(super) later: Option<u64>,
}

/// `None` before 4.20 (commit 7e8a6304d541), or if the counts can't be read.
pub(super) fn pages(reader: &Reader<'_>, cpus: &Cpus) -> Result<Option<PercpuPages>, KernelError> {
    let (Some(populated), Some(units)) = (
        reader.long("pcpu_nr_populated"),
        reader.int("pcpu_nr_units"),
    ) else {
        return Ok(None);
    };
    let times = |pages: u64| pages.saturating_mul(u64::from(units));
    let later = grown(reader)?;
    Ok(Some(PercpuPages {
        all: times(populated),
        boot: later.and_then(|later| populated.checked_sub(later).map(times)),
        // `pcpu_alloc_pages` fills those of possible CPUs only.
        later: later.map(|later| later.saturating_mul(cpus.len() as u64)),
    }))
}

/// Pages per CPU in the chunks that were added after boot: all but the first.
pub(super) fn grown(reader: &Reader<'_>) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    // `pcpu_slot` up to 5.8.
    let lists = ["pcpu_chunk_lists", "pcpu_slot"]
        .iter()
        .find_map(|name| reader.long(name));
    let (Some(lists), Some(slots), Some(first)) = (
        lists,
        reader.int("pcpu_nr_slots"),
        reader.long("pcpu_first_chunk"),
    ) else {
        return Ok(None);
    };
    // One set of slots per type from 5.9 to 5.13.
    let types = kernel
        .types
        .enumerator("pcpu_chunk_type", "mm/percpu.c", "PCPU_NR_CHUNK_TYPES")?
        .map_or(1, |types| types.clamp(1, 4).unsigned_abs());
    let Some(layout) = reader.layout::<ChunkLayout>("per-CPU memory set aside at boot")? else {
        return Ok(None);
    };
    let mut sum = 0u64;
    for slot in 0..(u64::from(slots) * types).min(MAX_SLOTS) {
        let chunks = walk::list(&kernel.space, VirtAddr(lists).plus(slot * 16), MAX_CHUNKS);
        if !chunks.end.is_complete() {
            reader.lose("a list of per-CPU chunks");
            return Ok(None);
        }
        for link in chunks.value {
            let chunk = link.minus(u64::from(layout.list.offset));
            if chunk.0 == first {
                continue;
            }
            let pages = kernel
                .space
                .read_u32(chunk.plus(u64::from(layout.populated.offset)));
            match reader.keep("a per-CPU chunk", pages) {
                Some(pages) => sum = sum.saturating_add(u64::from(pages)),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(sum))
}

/// The sum of a per-CPU counter and what the CPUs hold of it.
pub(super) fn counter(
    reader: &Reader<'_>,
    name: &str,
    cpus: &Cpus,
) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    let Some(at) = kernel.symbol(name) else {
        return Ok(None);
    };
    let Some(layout) = reader.layout::<PercpuCounter>(name)? else {
        return Ok(None);
    };
    // Since 5.9 (commit 4e2ee51e4c6b) /proc/meminfo adds what the CPUs hold; percpu_counter_sync()
    // came with it.
    let sum = match kernel.symbol("percpu_counter_sync") {
        Some(_) => layout.sum(kernel, cpus, at),
        None => layout.handed_over(kernel, at),
    };
    let sum = reader.keep(name, sum);
    Ok(sum.map(|sum| u64::try_from(sum).unwrap_or(0)))
}
