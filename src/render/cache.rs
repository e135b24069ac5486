//! `slabs --cache NAME`: one cache in depth.

use std::io::{self, Write};

use super::head::head;
use super::layout::Layout;
use super::slabs::allocated;
use super::table::pairs;
use super::{percent, printable, size, thousands};
use crate::report::{CacheReport, Document, SlabsReport};
use crate::subsys::mm::slab::CacheFacts;

/// The caches of the document in depth.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<SlabsReport>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    for cache in &document.body.caches {
        writeln!(out)?;
        detail(out, cache, document.body.totals.memory_bytes, layout)?;
    }
    Ok(())
}

fn detail(
    out: &mut dyn Write,
    cache: &CacheReport,
    memory: Option<u64>,
    layout: Layout,
) -> io::Result<()> {
    let facts = &cache.facts;
    let name = printable(&facts.name);
    let mut rows = pairs("CACHE", &name, layout);
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            rows.add_row([name, value]);
        }
    };
    row("address", &facts.address.to_string());
    row("aliases", &printable(&facts.aliases.join(", ")));
    row("flags", &facts.flags.join(" "));
    for (name, value) in sizes(facts, memory).iter().chain(&counts(facts)) {
        row(name, value);
    }
    row("besides", &besides(facts));
    row(
        "complete",
        match facts.exact.complete {
            true => "yes",
            false => "no, see warnings",
        },
    );
    row("verdict", cache.verdict.level.word());
    for reason in &cache.verdict.reasons {
        row("", &format!("{} ({})", reason.message, reason.basis));
    }
    row(
        "look further",
        &format!("vmleak objects {name} …   crash> kmem -s {name}"),
    );
    rows.write(out)
}

/// What objects and slabs are like, and the memory that they take.
fn sizes(facts: &CacheFacts, memory: Option<u64>) -> [(&'static str, String); 2] {
    let exact = &facts.exact;
    let objects = format!(
        "{} B asked for, {} B apart, aligned to {}; {} in a slab of {}",
        facts.object_size,
        facts.size,
        facts.align,
        facts.objects_per_slab,
        pages(u64::from(facts.pages_per_slab))
    );
    let taken = format!(
        "{} in {} slabs ({} of RAM), {} of it allocated",
        size(exact.bytes),
        thousands(exact.slabs),
        percent(exact.bytes, memory),
        size(exact.allocated_bytes)
    );
    [("objects", objects), ("memory", taken)]
}

/// The exact numbers, the kernel's own, and where slabs lie.
fn counts(facts: &CacheFacts) -> [(&'static str, String); 3] {
    let (exact, view, lie) = (&facts.exact, &facts.slabinfo, &facts.occupancy);
    let counted = format!(
        "{} allocated, {} free, {} pending free, of {}",
        allocated(exact),
        thousands(exact.free),
        thousands(exact.pending_free),
        thousands(exact.objects)
    );
    let kernels = format!(
        "{} active of {} objects in {} slabs",
        thousands(view.active_objs),
        thousands(view.num_objs),
        thousands(view.num_slabs)
    );
    let slabs = format!(
        "{} full, {} partial, {} empty; current on a CPU {}, on CPUs' lists {}, on nodes' lists {}",
        lie.full, lie.partial, lie.empty, lie.cpu, lie.cpu_partial, lie.node_partial
    );
    [
        ("exact", counted),
        ("/proc/slabinfo", kernels),
        ("slabs", slabs),
    ]
}

/// What is not in every cache.
fn besides(facts: &CacheFacts) -> String {
    let lie = &facts.occupancy;
    let all = [
        (
            lie.sheaves,
            "objects lie in sheaves or arrays of CPUs and nodes",
        ),
        (
            facts.memcg_children,
            "copies for memory cgroups are counted in",
        ),
        (facts.rcu_slabs, "slabs wait for RCU"),
        (facts.kfence_pages, "objects in KFENCE pages"),
        (
            lie.fallback_order,
            "slabs of less than the preferred order: memory was short",
        ),
    ];
    let there = all.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = there
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    told.join("; ")
}

fn pages(count: u64) -> String {
    format!("{count} page{}", if count == 1 { "" } else { "s" })
}
