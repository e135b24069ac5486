//! Huge pages set aside for hugetlbfs (mm/hugetlb.c): one pool per size.

use serde::Serialize;

use super::reader::Reader;
use crate::kernel::KernelError;
use crate::kernel::layout::layout;

/// HUGE_MAX_HSTATE is 2 to 4, by architecture.
const MAX_POOLS: u32 = 16;
/// No huge page is larger than 1 << 40 pages.
const MAX_ORDER: u64 = 40;

layout! {
    /// include/linux/hugetlb.h
    struct StateLayout = "hstate" in "mm/hugetlb.c" {
        need order = "order",
        need total = "nr_huge_pages",
        need free = "free_huge_pages",
        need reserved = "resv_huge_pages",
        need surplus = "surplus_huge_pages",
    }
}

/// The huge pages of one size; all counts are of huge pages.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct HugePool {
    /// Size of one in base pages.
    pub pages_each: u64,
    /// How many there are.
    pub total: u64,
    /// Of these, in no file.
    pub free: u64,
    /// Of the free ones, promised.
    pub reserved: u64,
    /// Of all, above what was asked for.
    pub surplus: u64,
    /// Whether /proc/meminfo shows it: the default size.
    pub default: bool,
}

impl HugePool {
    /// Base pages in the pool.
    pub fn pages(&self) -> u64 {
        self.total.saturating_mul(self.pages_each)
    }
}

/// The pools; `None` without CONFIG_HUGETLB_PAGE, or if they can't be read.
pub(super) fn read(reader: &Reader<'_>) -> Result<Option<Vec<HugePool>>, KernelError> {
    let kernel = reader.kernel;
    let Some(table) = kernel.symbol("hstates") else {
        return Ok(None);
    };
    let (Some(count), Some(default)) = (
        reader.int("hugetlb_max_hstate"),
        reader.int("default_hstate_idx"),
    ) else {
        return Ok(None);
    };
    let Some(layout) = reader.layout::<StateLayout>("huge pages")? else {
        return Ok(None);
    };
    let mut pools = Vec::new();
    for index in 0..count.min(MAX_POOLS) {
        let at = table.plus(u64::from(index) * layout.struct_size as u64);
        let record = kernel.space.read_bytes(at, layout.len);
        let Some(record) = reader.keep("a pool of huge pages", record) else {
            return Ok(None);
        };
        pools.push(HugePool {
            pages_each: 1 << layout.order.get(&record).min(MAX_ORDER),
            total: layout.total.get(&record),
            free: layout.free.get(&record),
            reserved: layout.reserved.get(&record),
            surplus: layout.surplus.get(&record),
            default: index == default,
        });
    }
    Ok(Some(pools))
}
