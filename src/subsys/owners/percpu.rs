//! Pages behind per-CPU variables, in the chunks that were added after boot (mm/percpu.c).

use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// mm/percpu-internal.h
    struct ChunkPagesLayout = "pcpu_chunk" in "mm/percpu.c" {
        need list = "list",
        need base = "base_addr",
        need populated = "populated",
    }
}

/// Slots are by logarithm of the free size: some 20 of each type.
const MAX_SLOTS: u64 = 256;
/// Chunks have some 2 MiB each.
const MAX_CHUNKS: u64 = 1 << 20;
/// Pages of one unit: more than 64 MiB no CPU has in one chunk.
const MAX_UNIT: u64 = 1 << 14;

/// Those of each CPU.
pub(super) fn claim(kernel: &Kernel, claims: &mut Claims) -> Result<(), KernelError> {
    // `pcpu_slot` up to 5.8.
    let lists = ["pcpu_chunk_lists", "pcpu_slot"]
        .iter()
        .find_map(|name| kernel.u64_of(name).value());
    let (Some(lists), Some(slots), Some(unit), Some(offsets)) = (
        lists,
        kernel.u32_of("pcpu_nr_slots").value(),
        kernel.u32_of("pcpu_unit_pages").value(),
        kernel.u64_of("pcpu_unit_offsets").value(),
    ) else {
        return Ok(());
    };
    let first = kernel.u64_of("pcpu_first_chunk").value();
    // One set of slots per type from 5.9 to 5.13.
    let types = kernel
        .types
        .enumerator("pcpu_chunk_type", "mm/percpu.c", "PCPU_NR_CHUNK_TYPES")?
        .map_or(1, |types| types.clamp(1, 4).unsigned_abs());
    let layout: ChunkPagesLayout = kernel.layout()?;
    let space = &kernel.space;
    let cpus = Cpus::read(kernel)?;
    let units: Vec<u64> = cpus
        .numbers()
        .filter_map(|cpu| {
            let at = VirtAddr(offsets).plus(u64::from(cpu) * 8);
            space.read_u64(at).ok()
        })
        .collect();
    let unit = u64::from(unit).min(MAX_UNIT);
    let page = kernel.dump().page_size() as u64;
    let owner = claims.owner(Owner::of_kernel("percpu", "variables, since boot"));
    for slot in 0..(u64::from(slots) * types).min(MAX_SLOTS) {
        let chunks = walk::list(space, VirtAddr(lists).plus(slot * 16), MAX_CHUNKS);
        for link in chunks.value {
            let chunk = link.minus(u64::from(layout.list.offset));
            if Some(chunk.0) == first {
                continue;
            }
            let bitmap = chunk.plus(u64::from(layout.populated.offset));
            let words = unit.div_ceil(64) as usize;
            let base = space.read_ptr(chunk.plus(u64::from(layout.base.offset)));
            let (Ok(base), Ok(bitmap)) = (base, space.read_bytes(bitmap, words * 8)) else {
                continue;
            };
            let populated = (0..unit).filter(|page| {
                let word = u64_at(&bitmap, (*page / 64) as usize * 8).unwrap_or(0);
                word >> (page % 64) & 1 == 1
            });
            for number in populated {
                for offset in &units {
                    claims.pages(owner, base.plus(offset + number * page), 1);
                }
            }
        }
    }
    Ok(())
}
