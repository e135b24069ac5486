//! What kernels before 5.0 count and print otherwise: told by their types and texts.

use super::counters::Counters;
use crate::kernel::Kernel;
use crate::kernel::literals::{self, Literal};

/// Huge pages were not among anonymous pages up to 3.11 (commit 3cd14fcd3f12), whose release also
/// gave the log's records another name.
pub(super) fn anon_pages(counters: &Counters, kernel: &Kernel, pmd_pages: u64) -> Option<u64> {
    let pages = counters.get(&["NR_ANON_MAPPED", "NR_ANON_PAGES"])?;
    // Later kernels have no such unit: their others need not be read for it.
    let old = kernel.types.find_in_unit("log", "kernel/printk.c");
    let apart = match old {
        Ok(Some(_)) => counters.get(&["NR_ANON_TRANSPARENT_HUGEPAGES"]),
        _ => None,
    };
    let apart = apart.unwrap_or(0).saturating_mul(pmd_pages);
    Some(pages.saturating_add(apart))
}

/// Lines that old kernels lack, told by their texts.
pub(super) struct OldLines {
    /// 3.14 and later.
    pub(super) available: bool,
    /// 4.16 and later.
    pub(super) hugetlb: bool,
}

impl OldLines {
    pub(super) fn find(kernel: &Kernel) -> Self {
        // No kernel with this name lacks any. Blanks follow in a table only: there are messages, too.
        let [total, available, hugetlb] = match kernel.symbol("_totalram_pages") {
            Some(_) => [const { Literal::Unknown }; 3],
            None => literals::find(kernel, ["MemTotal:", "MemAvailable:", "Hugetlb:  "]),
        };
        let told = total.is_there() == Some(true);
        let has = |text: Literal| !told || text != Literal::Absent;
        Self {
            available: has(available),
            hugetlb: has(hugetlb),
        }
    }
}
