//! /proc/net/sockstat and sockstat6 to the letter (net/ipv4/proc.c, net/ipv6/proc.c). What is not
//! known is `-`.

use std::io::{self, Write};

use super::proc::{View, known};

fn in_use(view: &View<'_>, protocol: &str) -> String {
    let counters = &view.report.counters;
    let both = view.namespace().zip(counters.protocol(protocol));
    known(both.and_then(|(net, protocol)| counters.in_use(net, protocol)))
}

pub(super) fn sockstat(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let counters = &view.report.counters;
    let net = view.namespace();
    let pages = |name: &str| {
        let pages = counters.protocol(name).and_then(|one| one.memory_pages);
        pages.map_or_else(|| "-".to_owned(), |pages| pages.to_string())
    };
    let allocated = counters.protocol("TCP").and_then(|one| one.allocated);
    let used = known(net.and_then(|net| net.used));
    writeln!(out, "sockets: used {used}")?;
    writeln!(
        out,
        "TCP: inuse {} orphan {} tw {} alloc {} mem {}",
        in_use(view, "TCP"),
        known(counters.orphans),
        known(net.and_then(|net| net.time_wait)),
        known(allocated),
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
    let (queues, bytes) = net.and_then(|net| net.fragments).unzip();
    writeln!(out, "FRAG: inuse {} memory {}", known(queues), known(bytes))
}

pub(super) fn sockstat6(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    writeln!(out, "TCP6: inuse {}", in_use(view, "TCPv6"))?;
    writeln!(out, "UDP6: inuse {}", in_use(view, "UDPv6"))?;
    if view.report.counters.protocol("UDPLITEv6").is_some() {
        writeln!(out, "UDPLITE6: inuse {}", in_use(view, "UDPLITEv6"))?;
    }
    writeln!(out, "RAW6: inuse {}", in_use(view, "RAWv6"))?;
    let (queues, bytes) = view.namespace().and_then(|net| net.fragments6).unzip();
    writeln!(
        out,
        "FRAG6: inuse {} memory {}",
        known(queues),
        known(bytes)
    )
}
