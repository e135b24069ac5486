//! /proc/net/sockstat and sockstat6 to the letter (net/ipv4/proc.c, net/ipv6/proc.c).

use std::io::{self, Write};

use super::proc::View;

fn in_use(view: &View<'_>, protocol: &str) -> u64 {
    let counters = &view.report.counters;
    let protocol = counters.protocol(protocol);
    let both = view.namespace().zip(protocol);
    both.map_or(0, |(net, protocol)| counters.in_use(net, protocol))
}

pub(super) fn sockstat(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let counters = &view.report.counters;
    let net = view.namespace();
    let used = net.and_then(|net| net.used).unwrap_or(0);
    let time_wait = net.and_then(|net| net.time_wait).unwrap_or(0);
    let pages = |name: &str| {
        let protocol = counters.protocol(name);
        protocol.and_then(|one| one.memory_pages).unwrap_or(0)
    };
    let allocated = counters.protocol("TCP").and_then(|one| one.allocated);
    writeln!(out, "sockets: used {used}")?;
    writeln!(
        out,
        "TCP: inuse {} orphan {} tw {time_wait} alloc {} mem {}",
        in_use(view, "TCP"),
        counters.orphans.unwrap_or(0),
        allocated.unwrap_or(0),
        pages("TCP")
    )?;
    writeln!(
        out,
        "UDP: inuse {} mem {}",
        in_use(view, "UDP"),
        pages("UDP")
    )?;
    if counters.protocol("UDP-Lite").is_some() {
        writeln!(out, "UDPLITE: inuse {}", in_use(view, "UDP-Lite"))?;
    }
    writeln!(out, "RAW: inuse {}", in_use(view, "RAW"))?;
    let (queues, bytes) = net.and_then(|net| net.fragments).unwrap_or((0, 0));
    writeln!(out, "FRAG: inuse {queues} memory {bytes}")
}

pub(super) fn sockstat6(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    writeln!(out, "TCP6: inuse {}", in_use(view, "TCPv6"))?;
    writeln!(out, "UDP6: inuse {}", in_use(view, "UDPv6"))?;
    if view.report.counters.protocol("UDPLITEv6").is_some() {
        writeln!(out, "UDPLITE6: inuse {}", in_use(view, "UDPLITEv6"))?;
    }
    writeln!(out, "RAW6: inuse {}", in_use(view, "RAWv6"))?;
    let net = view.namespace();
    let (queues, bytes) = net.and_then(|net| net.fragments6).unwrap_or((0, 0));
    writeln!(out, "FRAG6: inuse {queues} memory {bytes}")
}
