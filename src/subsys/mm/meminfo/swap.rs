//! Swap: its size and what is free of it (`si_swapinfo`, mm/swapfile.c), the swap cache
//! before it had a counter, and compressed swap (mm/zswap.c).

use super::reader::Reader;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{KernelError, walk};

/// `swap_info[]` has 32 entries at most (MAX_SWAPFILES).
const MAX_SWAPFILES: u32 = 32;
/// Zswap makes a new pool when its compressor is changed.
const MAX_POOLS: u64 = 64;
const SWP_USED: u64 = 1 << 0;
const SWP_WRITEOK: u64 = 1 << 1;
/// SWAP_USAGE_OFFLIST_BIT, where the count is an `atomic_long_t` (6.14 and later).
const OFFLIST: u64 = 1 << 30;

layout! {
    /// include/linux/swap.h
    struct SwapLayout = "swap_info_struct" in "mm/swapfile.c" {
        need flags = "flags",
        /// An `atomic_long_t` since 6.14 (commit b228386cf37c), an `unsigned int` before.
        need inuse = "inuse_pages.counter" | "inuse_pages",
    }
}

layout! {
    /// include/linux/fs.h
    struct MappingLayout = "address_space" in "mm/swap_state.c" {
        need nrpages = "nrpages",
    }
}

layout! {
    /// mm/zswap.c
    struct PoolLayout = "zswap_pool" in "mm/zswap.c" {
        need list = "list",
        /// 6.18 and later: zpool between the two is gone.
        maybe zs_pool = "zs_pool",
    }
}

layout! {
    /// mm/zsmalloc.c
    struct ZsPoolLayout = "zs_pool" in "mm/zsmalloc.c" {
        need pages = "pages_allocated.counter",
    }
}

/// Swap in pages; all 0 without CONFIG_SWAP.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swap {
    pub(super) total: u64,
    pub(super) free: u64,
}

/// Total and free; what is being taken out of use counts as both, as far as it is full.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Swap>, KernelError> {
    let kernel = reader.kernel;
    if kernel.symbol("nr_swap_pages").is_none() {
        return Ok(Some(Swap::default()));
    }
    let (Some(total), Some(free)) = (
        reader.count("total_swap_pages"),
        reader.count("nr_swap_pages"),
    ) else {
        return Ok(None);
    };
    let mut swap = Swap { total, free };
    let files = reader.int("nr_swapfiles").unwrap_or(0).min(MAX_SWAPFILES);
    if let (true, Some(table)) = (files > 0, kernel.symbol("swap_info")) {
        let Some(layout) = reader.layout::<SwapLayout>("swap")? else {
            return Ok(None);
        };
        for index in 0..u64::from(files) {
            let record = kernel
                .space
                .read_ptr(table.plus(index * 8))
                .and_then(|at| kernel.space.read_bytes(at, layout.len));
            let Some(record) = reader.keep("a swap file", record) else {
                continue;
            };
            let flags = layout.flags.get(&record);
            if flags & SWP_USED != 0 && flags & SWP_WRITEOK == 0 {
                let mask = if layout.inuse.size == 8 { !OFFLIST } else { !0 };
                let used = layout.inuse.get(&record) & mask;
                swap.total = swap.total.saturating_add(used);
                swap.free = swap.free.saturating_add(used);
            }
        }
    }
    Ok(Some(swap))
}

/// Pages of the swap cache up to 5.11, which counts them by address space. `None` without
/// CONFIG_SWAP.
pub(super) fn cached_pages(reader: &Reader<'_>) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    let Some(spaces) = kernel.symbol("swapper_spaces") else {
        return Ok(None);
    };
    let Some(counts) = kernel.symbol("nr_swapper_spaces") else {
        return cached_in(reader, spaces);
    };
    let Some(layout) = reader.layout::<MappingLayout>("the swap cache")? else {
        return Ok(None);
    };
    let files = reader.int("nr_swapfiles").unwrap_or(0).min(MAX_SWAPFILES);
    let mut sum = 0u64;
    for file in 0..u64::from(files) {
        let count = kernel.space.read_u32(counts.plus(file * 4));
        let array = kernel.space.read_ptr(spaces.plus(file * 8));
        let (Ok(count), Ok(array)) = (count, array) else {
            reader.lose("the swap cache");
            return Ok(None);
        };
        // One per 64 MiB (SWAP_ADDRESS_SPACE_SHIFT): a million are 64 TiB of swap.
        for index in 0..u64::from(count.min(1 << 20)) {
            let at = array.plus(index * layout.struct_size as u64);
            let pages = kernel
                .space
                .read_u64(at.plus(u64::from(layout.nrpages.offset)));
            let Some(pages) = reader.keep("the swap cache", pages) else {
                return Ok(None);
            };
            sum = sum.saturating_add(pages);
        }
    }
    Ok(Some(sum))
}

/// The same up to 4.10 (commit 4b3ef9daa4fc): one address space for each swap file.
fn cached_in(reader: &Reader<'_>, spaces: VirtAddr) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    let Some(layout) = reader.layout::<MappingLayout>("the swap cache")? else {
        return Ok(None);
    };
    let files = reader.int("nr_swapfiles").unwrap_or(0).min(MAX_SWAPFILES);
    let mut sum = 0u64;
    for file in 0..u64::from(files) {
        let at = spaces.plus(file * layout.struct_size as u64);
        let pages = kernel
            .space
            .read_u64(at.plus(u64::from(layout.nrpages.offset)));
        let Some(pages) = reader.keep("the swap cache", pages) else {
            return Ok(None);
        };
        sum = sum.saturating_add(pages);
    }
    Ok(Some(sum))
}

/// Compressed swap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zswap {
    /// Pages that it takes; `None` if the dump does not tell.
    pub(super) pool: Option<u64>,
    /// Pages that it holds.
    pub(super) stored: u64,
}

/// `None` if /proc/meminfo has no lines for it: without CONFIG_ZSWAP, and before 5.19 (commit
/// f6498b776d28), which also added the event ZSWPIN.
pub(super) fn zswap(reader: &Reader<'_>) -> Result<Option<Zswap>, KernelError> {
    let types = &reader.kernel.types;
    let counted = types.enumerator("vm_event_item", "mm/vmstat.c", "ZSWPIN")?;
    if counted.is_none() {
        return Ok(None);
    }
    // An `atomic_t` first, an `atomic_long_t` by 6.12, and nothing tells which: the lower half of
    // either counts up to 16 TiB.
    let Some(stored) = reader.int("zswap_stored_pages").map(u64::from) else {
        return Ok(None);
    };
    // Up to 6.9 the pools' size is kept.
    let pool = match reader.count("zswap_pool_total_size") {
        Some(bytes) => Some(bytes / reader.kernel.dump().page_size() as u64),
        None => pool_pages(reader)?,
    };
    Ok(Some(Zswap { pool, stored }))
}

fn pool_pages(reader: &Reader<'_>) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    let Some(head) = kernel.symbol("zswap_pools") else {
        return Ok(None);
    };
    let pools = walk::list(&kernel.space, head, MAX_POOLS);
    if !pools.end.is_complete() {
        reader.lose("the list of zswap's pools");
        return Ok(None);
    }
    if pools.value.is_empty() {
        return Ok(Some(0));
    }
    let Some(layout) = reader.layout::<PoolLayout>("zswap's pools")? else {
        return Ok(None);
    };
    let Some(zs_pool) = layout.zs_pool else {
        reader.lose("what zswap's pools take (behind zpool, up to 6.17)");
        return Ok(None);
    };
    let Some(zs) = reader.layout::<ZsPoolLayout>("zswap's pools")? else {
        return Ok(None);
    };
    let mut sum = 0u64;
    for link in pools.value {
        let pool = link.minus(u64::from(layout.list.offset));
        let pages = kernel
            .space
            .read_ptr(pool.plus(u64::from(zs_pool.offset)))
            .and_then(|at: VirtAddr| kernel.space.read_u64(at.plus(u64::from(zs.pages.offset))));
        let Some(pages) = reader.keep("a pool of zswap", pages) else {
            return Ok(None);
        };
        sum = sum.saturating_add(pages);
    }
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    const MAPPING: &str = "struct address_space 64 {\n 40 unsigned long nrpages\n}";

    /// mm/swap_state.c up to 5.11: an array of address spaces for each swap file, one that was
    /// taken out of use between two others.
    #[test]
    fn the_swap_cache_of_several_files() {
        let mut m = Machine::build(Era::V5_10, PagingLevels::Four, &Scenario::standard());
        m.kernel.types.parse(MAPPING);
        m.kernel.vmlinux_types.parse(MAPPING);
        let [files, counts, spaces] = [4, 4 * 32, 8 * 32].map(|size| m.kernel.alloc(size, 8));
        m.kernel.write(files, &3u32.to_le_bytes());
        let cached: [&[u64]; 3] = [&[1, 20], &[], &[300, 4000, 50_000]];
        for (file, all) in (0u64..).zip(cached) {
            let count = all.len() as u64;
            m.kernel
                .write(counts + file * 4, &(count as u32).to_le_bytes());
            let array = m.kernel.alloc(64 * count.max(1), 8);
            m.kernel.write_u64(spaces + file * 8, array);
            for (index, pages) in (0u64..).zip(all) {
                m.kernel.write_u64(array + index * 64 + 40, *pages);
            }
        }
        let symbols = [
            ("nr_swapfiles", files),
            ("nr_swapper_spaces", counts),
            ("swapper_spaces", spaces),
        ];
        let cached = |m: &Machine, symbols: &[(&str, u64)]| {
            let kernel = synthetic::kernel_with(m, symbols);
            let reader = Reader::new(&kernel);
            let cached = cached_pages(&reader).expect("types");
            (cached, reader.has_lost())
        };
        assert_eq!(cached(&m, &symbols), (Some(54_321), false));
        // Without CONFIG_SWAP.
        assert_eq!(cached(&m, &[]), (None, false));
        m.kernel.write_u64(spaces + 2 * 8, 1);
        assert_eq!(cached(&m, &symbols), (None, true));
    }
}
