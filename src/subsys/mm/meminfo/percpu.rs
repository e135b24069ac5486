//! Memory behind per-CPU variables (mm/percpu.c), and per-CPU counters (lib/percpu_counter.c).

use super::reader::Reader;
use crate::kernel::KernelError;
use crate::kernel::cpus::Cpus;
use crate::kernel::percpu_chunks::{ChunkLayout, LaterChunks};
use crate::kernel::percpu_counter::PercpuCounter;

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
    let later = match LaterChunks::read(kernel) {
        // A kernel with chunks, and types without: that is said.
        Err(KernelError::Layout(_)) => {
            reader.layout::<ChunkLayout>("per-CPU memory set aside at boot")?;
            return Ok(None);
        }
        later => later?,
    };
    let Some(later) = later else {
        return Ok(None);
    };
    let Some(populated) = later.layout.populated_pages else {
        return Ok(None);
    };
    if !later.complete {
        reader.lose("a list of per-CPU chunks");
        return Ok(None);
    }
    let mut sum = 0u64;
    for chunk in &later.chunks {
        let pages = kernel
            .space
            .read_u32(chunk.plus(u64::from(populated.offset)));
        match reader.keep("a per-CPU chunk", pages) {
            Some(pages) => sum = sum.saturating_add(u64::from(pages)),
            None => return Ok(None),
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
