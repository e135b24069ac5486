//! `slabs --cache NAME`: one cache in depth.

use std::io::{self, Write};

use super::head::head;
use super::slabs::{allocated, verdict};
use super::{percent, printable, size, table, thousands, write_table};
use crate::report::{CacheReport, Document, SlabsReport};

/// The caches of the document in depth.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<SlabsReport>,
    width: Option<u16>,
) -> io::Result<()> {
    head(out, document)?;
    for cache in &document.body.caches {
        writeln!(out)?;
        detail(out, cache, document.body.totals.memory_bytes, width)?;
    }
    Ok(())
}

fn detail(
    out: &mut dyn Write,
    cache: &CacheReport,
    memory: Option<u64>,
    width: Option<u16>,
) -> io::Result<()> {
    let facts = &cache.facts;
    let (exact, view, lie) = (&facts.exact, &facts.slabinfo, &facts.occupancy);
    let mut rows = table(&["CACHE", &printable(&facts.name)], &[], 1, width);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.add_row([name, &value]);
        }
    };
    row("address", facts.address.to_string());
    row("aliases", printable(&facts.aliases.join(", ")));
    row("flags", facts.flags.join(" "));
    row(
        "objects",
        format!(
            "{} B asked for, {} B apart, aligned to {}; {} in a slab of {}",
            facts.object_size,
            facts.size,
            facts.align,
            facts.objects_per_slab,
            pages(u64::from(facts.pages_per_slab))
        ),
    );
    row(
        "memory",
        format!(
            "{} in {} slabs ({} of RAM), {} of it allocated",
            size(exact.bytes),
            thousands(exact.slabs),
            percent(exact.bytes, memory),
            size(exact.allocated_bytes)
        ),
    );
    row(
        "exact",
        format!(
            "{} allocated, {} free, {} pending free, of {}",
            allocated(exact),
            thousands(exact.free),
            thousands(exact.pending_free),
            thousands(exact.objects)
        ),
    );
    row(
        "/proc/slabinfo",
        format!(
            "{} active of {} objects in {} slabs",
            thousands(view.active_objs),
            thousands(view.num_objs),
            thousands(view.num_slabs)
        ),
    );
    row(
        "slabs",
        format!(
            "{} full, {} partial, {} empty; current on a CPU {}, on CPUs' lists {}, on nodes' lists {}",
            lie.full, lie.partial, lie.empty, lie.cpu, lie.cpu_partial, lie.node_partial
        ),
    );
    let mut apart = Vec::new();
    if lie.sheaves > 0 {
        apart.push(format!(
            "{} objects lie in sheaves or arrays of CPUs and nodes",
            lie.sheaves
        ));
    }
    if facts.memcg_children > 0 {
        let copies = facts.memcg_children;
        apart.push(format!("{copies} copies for memory cgroups are counted in"));
    }
    if facts.rcu_slabs > 0 {
        apart.push(format!("{} slabs wait for RCU", facts.rcu_slabs));
    }
    if facts.kfence_pages > 0 {
        apart.push(format!("{} objects in KFENCE pages", facts.kfence_pages));
    }
    if lie.fallback_order > 0 {
        apart.push(format!(
            "{} slabs of less than the preferred order: memory was short",
            lie.fallback_order
        ));
    }
    row("besides", apart.join("; "));
    row(
        "complete",
        if exact.complete {
            "yes"
        } else {
            "no, see warnings"
        }
        .to_owned(),
    );
    row("verdict", verdict(&cache.verdict, false));
    for reason in &cache.verdict.reasons {
        row("", format!("{} ({})", reason.message, reason.basis));
    }
    row(
        "look further",
        format!(
            "vmleak objects {} …   crash> kmem -s {}",
            printable(&facts.name),
            printable(&facts.name)
        ),
    );
    write_table(out, &rows)
}

fn pages(count: u64) -> String {
    format!("{count} page{}", if count == 1 { "" } else { "s" })
}
