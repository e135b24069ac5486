//! /proc/pagetypeinfo and /proc/vmstat.

use std::io::{self, Write};

use super::printable;
use crate::subsys::mm::zones::{FreeList, NodeBlocks, PagetypeFacts, VmstatFacts};

/// /proc/pagetypeinfo to the letter (pagetypeinfo_show(), mm/vmstat.c), without the mixed blocks of
/// page_owner=on.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut dyn Write, facts: &PagetypeFacts) -> io::Result<()> {
    for node in &facts.nodes {
        let order = facts.block_order;
        writeln!(out, "Page block order: {order}")?;
        writeln!(out, "Pages per block:  {}\n", 1u64 << order.min(63))?;
        free(out, facts, node)?;
        blocks(out, facts, node)?;
    }
    Ok(())
}

fn free(out: &mut dyn Write, facts: &PagetypeFacts, node: &NodeBlocks) -> io::Result<()> {
    write!(out, "{:<43} ", "Free pages count per migrate type at order")?;
    let lists = node.zones.iter().flat_map(|zone| &zone.free);
    for order in 0..lists.map(Vec::len).max().unwrap_or(0) {
        write!(out, "{order:>6} ")?;
    }
    writeln!(out)?;
    for zone in &node.zones {
        for (kind, lists) in facts.kinds.iter().zip(&zone.free) {
            let (name, kind) = (printable(&zone.name), printable(kind));
            write!(
                out,
                "Node {:>4}, zone {name:>8}, type {kind:>12} ",
                node.node
            )?;
            for FreeList { blocks, capped } in lists {
                let mark = if *capped { ">" } else { "" };
                write!(out, "{mark}{blocks:>6} ")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn blocks(out: &mut dyn Write, facts: &PagetypeFacts, node: &NodeBlocks) -> io::Result<()> {
    write!(out, "\n{:<23}", "Number of blocks type ")?;
    for kind in &facts.kinds {
        write!(out, "{:>12} ", printable(kind))?;
    }
    writeln!(out)?;
    for zone in &node.zones {
        write!(
            out,
            "Node {}, zone {:>8} ",
            node.node,
            printable(&zone.name)
        )?;
        for count in &zone.blocks {
            write!(out, "{count:>12} ")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// /proc/vmstat to the letter (vmstat_show(), mm/vmstat.c).
///
/// # Errors
/// If writing fails.
pub fn write_vmstat(out: &mut dyn Write, facts: &VmstatFacts) -> io::Result<()> {
    let mut all = facts.counters.iter();
    all.try_for_each(|one| writeln!(out, "{} {}", printable(&one.name), one.value))
}
