//! What /proc/meminfo said of vmalloc's addresses up to 4.3 (`get_vmalloc_info`, mm/vmalloc.c): how
//! many bytes of them areas take, and the longest range between areas.

use super::reader::Reader;
use crate::kernel::layout::layout;
use crate::kernel::{KernelError, walk};

/// The range has room for 2^33 pages; no machine has a millionth of it.
const MAX_AREAS: u64 = 1 << 24;
/// `vmap_area.flags`: freed, but still mapped.
const LAZY: u64 = 0b11;

layout! {
    /// include/linux/vmalloc.h
    struct SpanLayout = "vmap_area" in "mm/vmalloc.c" {
        need start = "va_start",
        need end = "va_end",
        need list = "list",
        maybe flags = "flags",
    }
}

/// Both in bytes; `None` in later kernels, and if they can't be told.
pub(super) fn by_areas(reader: &Reader<'_>) -> Result<Option<(u64, u64)>, KernelError> {
    let kernel = reader.kernel;
    // The structure went with the count (commit a5ad88ce8c7f).
    let counts = kernel
        .types
        .find_struct("vmalloc_info", "mm/vmalloc.c", false)?;
    let (Some(_), Some(head)) = (counts, kernel.symbol("vmap_area_list")) else {
        return Ok(None);
    };
    const WHAT: &str = "the areas of vmalloc";
    let (Some(layout), Some(range)) = (reader.layout::<SpanLayout>(WHAT)?, kernel.vmalloc_range())
    else {
        return Ok(None);
    };
    let areas = walk::list(&kernel.space, head, MAX_AREAS);
    if !areas.end.is_complete() {
        reader.lose(WHAT);
        return Ok(None);
    }
    // VMALLOC_END is the last byte.
    let last = range.end.minus(1);
    let (mut used, mut longest, mut behind) = (0u64, 0u64, range.start);
    for link in areas.value {
        let at = link.minus(u64::from(layout.list.offset));
        let Some(record) = reader.keep(WHAT, kernel.space.read_bytes(at, layout.len)) else {
            return Ok(None);
        };
        let [start, end] = [layout.start, layout.end].map(|field| field.get(&record));
        let flags = layout.flags.map_or(0, |field| field.get(&record));
        if start < range.start.0 || flags & LAZY != 0 {
            continue;
        }
        if start >= last.0 {
            break;
        }
        used = used.saturating_add(end.saturating_sub(start));
        longest = longest.max(start.saturating_sub(behind.0));
        behind.0 = end;
    }
    longest = longest.max(last.0.saturating_sub(behind.0));
    Ok(Some((used, longest)))
}
