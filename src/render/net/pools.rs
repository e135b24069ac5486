//! `net`: who polls interfaces, and the pools of pages for packets.

use std::io::{self, Write};

use anstyle::Style;

use crate::render::layout::Layout;
use crate::render::table::{Column, Table};
use crate::render::{printable, size, thousands};
use crate::report::net::NetReport;
use crate::subsys::net::page_pools::PagePoolFacts;

fn title(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}{text}{bold:#}")
}

/// NAPIs of all interfaces; nothing if there is none.
pub(super) fn napi(out: &mut dyn Write, report: &NetReport, layout: Layout) -> io::Result<()> {
    let header = [
        Column::number("NETNS").rank(3),
        Column::text("DEVICE"),
        Column::number("ID"),
        Column::number("IRQ").rank(2),
        Column::number("WEIGHT").rank(3),
        Column::number("GRO"),
        Column::number("TO STACK"),
        Column::text("STATE").rank(1),
        Column::flow("POLL"),
    ];
    let mut rows = Table::new(header, layout);
    let mut any = false;
    for net in &report.namespaces {
        for device in &net.facts.devices {
            for napi in &device.napi {
                any = true;
                let number = |value: Option<u64>| value.map_or(String::new(), |n| n.to_string());
                let poll = napi.poll_function.as_deref();
                rows.add_row([
                    net.facts.inum.to_string(),
                    printable(&device.name),
                    number(napi.id),
                    number(napi.irq),
                    napi.weight.to_string(),
                    thousands(napi.gro.iter().sum()),
                    napi.rx_packets.map_or(String::new(), thousands),
                    napi.states.join(" "),
                    poll.map_or_else(|| napi.poll.to_string(), printable),
                ]);
            }
        }
    }
    if !any {
        return Ok(());
    }
    title(out, "NAPI of interfaces, with the packets they hold")?;
    rows.write(out)
}

/// Pools of pages; nothing if there is none.
pub(super) fn page_pools(
    out: &mut dyn Write,
    report: &NetReport,
    layout: Layout,
) -> io::Result<()> {
    let Some(pools) = report.page_pools.as_ref().filter(|pools| !pools.is_empty()) else {
        return Ok(());
    };
    title(out, "Page pools, in blocks")?;
    let header = [
        Column::text("ADDRESS").rank(4),
        Column::number("ID").rank(3),
        Column::text("OF"),
        Column::number("NAPI").rank(4),
        Column::number("PAGES").rank(2),
        Column::number("IN FLIGHT"),
        Column::number("CACHED").rank(1),
        Column::number("RING").rank(1),
        Column::number("OUT"),
        Column::number("FOUND"),
        Column::number("SIZE"),
        Column::flow("STATE"),
    ];
    let mut rows = Table::new(header, layout);
    let unknown = || "unknown".to_owned();
    for pool in pools {
        let number = |value: Option<u64>| value.map_or(String::new(), |n| n.to_string());
        let count = |value: Option<u64>| value.map_or_else(unknown, thousands);
        rows.add_row([
            pool.address.to_string(),
            number(pool.id),
            of(pool),
            number(pool.napi_id),
            pool.block_pages().to_string(),
            pool.in_flight.map_or_else(unknown, |n| n.to_string()),
            thousands(pool.cached),
            count(pool.ring),
            count(pool.out()),
            count(pool.found),
            pool.found_bytes.map_or_else(unknown, size),
            state(pool),
        ]);
    }
    rows.write(out)
}

/// Whose it is.
fn of(pool: &PagePoolFacts) -> String {
    match (&pool.device, pool.cpu, &pool.parent) {
        (Some(device), _, _) => printable(device),
        (None, Some(cpu), _) => format!("CPU {cpu}"),
        (None, None, Some(parent)) => printable(parent),
        (None, None, None) => String::new(),
    }
}

fn state(pool: &PagePoolFacts) -> String {
    let gone = if pool.device_gone {
        ", its interface is gone"
    } else {
        ""
    };
    match (pool.destroyed, pool.destroyed_seconds) {
        (false, _) => format!("in use{gone}"),
        (true, Some(seconds)) => format!("destroyed {seconds:.0} s ago{gone}"),
        (true, None) => format!("destroyed{gone}"),
    }
}
