//! The parts of the kernel image that hold no pointers to objects: two thirds of it are code and
//! tables about it, whose words could only look like some.
//!
//! Sources: include/asm-generic/vmlinux.lds.h; arch/x86/include/asm/orc_types.h (32-bit distances
//! and records of 6 bytes); scripts/kallsyms.c.

use std::ops::Range;

use super::Kernel;
use crate::addr::{Pfn, VirtAddr};
use crate::types::Kallsyms;

/// Begin and end of each by symbol; those of kallsyms have none in kallsyms.
const NAMED: [(&str, &str); 5] = [
    ("_stext", "_etext"),
    ("__start_BTF", "__stop_BTF"),
    ("__start_orc_unwind_ip", "__stop_orc_unwind_ip"),
    ("__start_orc_unwind", "__stop_orc_unwind"),
    ("orc_lookup", "orc_lookup_end"),
];

/// The pages that hold nothing else.
pub(super) fn pages(kernel: &Kernel) -> impl Iterator<Item = Pfn> + '_ {
    let named = NAMED
        .iter()
        .filter_map(|(start, end)| Some(kernel.symbol(start)?.0..kernel.symbol(end)?.0));
    let own = kernel.own_symbols().ok().map(Kallsyms::tables_at);
    let ranges = named.chain(own.into_iter().flatten());
    ranges.flat_map(|range| within(kernel, range))
}

/// The whole pages of a range, up to the first that is not mapped.
fn within(kernel: &Kernel, range: Range<u64>) -> impl Iterator<Item = Pfn> + '_ {
    let (size, shift) = (kernel.dump().page_size(), kernel.dump().page_shift());
    let start = range.start.checked_next_multiple_of(size as u64);
    let starts = (start.unwrap_or(range.end)..range.end).step_by(size);
    let whole = starts.take_while(move |at| range.end - at >= size as u64);
    whole.map_while(move |at| {
        let mapping = kernel.space.translate(VirtAddr(at)).ok()?;
        Some(Pfn::containing(mapping.phys, shift))
    })
}
