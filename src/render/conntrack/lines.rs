//! Lines to the letter: /proc/net/nf_conntrack, `conntrack -L -o extended,id,timestamp,labels`,
//! /proc/net/nf_conntrack_expect, /proc/net/stat/nf_conntrack, `conntrack -S`.
//!
//! Sources: net/netfilter/nf_conntrack_standalone.c (ct_seq_show), nf_conntrack_expect.c
//! (exp_seq_show); libnetfilter_conntrack's default output, observed.

use std::io::{self, Write};
use std::net::IpAddr;

use crate::render::printable;
use crate::subsys::net::conntrack::entry::Entry;
use crate::subsys::net::conntrack::expect::{self, Expectation};
use crate::subsys::net::conntrack::state::status;
use crate::subsys::net::conntrack::stats::CpuStats;
use crate::subsys::net::conntrack::tuple::{Detail, Tuple};

/// How addresses of IPv6 are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `%pI6`: eight groups of four digits.
    Kernel,
    /// inet_ntop.
    Short,
}

fn address(out: &mut Vec<u8>, ip: IpAddr, style: Style) -> io::Result<()> {
    match ip {
        IpAddr::V6(ip) if style == Style::Kernel => {
            for (index, group) in ip.segments().iter().enumerate() {
                let colon = if index > 0 { ":" } else { "" };
                write!(out, "{colon}{group:04x}")?;
            }
            Ok(())
        }
        ip => write!(out, "{ip}"),
    }
}

fn tuple(out: &mut Vec<u8>, tuple: &Tuple, style: Style) -> io::Result<()> {
    out.extend_from_slice(b"src=");
    address(out, tuple.src, style)?;
    out.extend_from_slice(b" dst=");
    address(out, tuple.dst, style)?;
    out.push(b' ');
    match tuple.detail {
        Detail::Ports { src, dst } => write!(out, "sport={src} dport={dst} "),
        Detail::Icmp { kind, code, id } => write!(out, "type={kind} code={code} id={id} "),
        Detail::Keys { src, dst } => write!(out, "srckey={src:#x} dstkey={dst:#x} "),
        Detail::None => Ok(()),
    }
}

fn counters(out: &mut Vec<u8>, entry: &Entry, direction: usize) -> io::Result<()> {
    match entry.ext.acct.and_then(|acct| acct.get(direction).copied()) {
        Some(counter) => write!(out, "packets={} bytes={} ", counter.packets, counter.bytes),
        None => Ok(()),
    }
}

/// Seconds since the connection began; 0 if its clock is ahead. The second of the crash is known,
/// not its fraction, so this may be one second short.
fn delta_time(entry: &Entry, now: Option<i64>) -> Option<u64> {
    let (start, _) = entry.ext.tstamp?;
    let now = now?.unsigned_abs().saturating_mul(1_000_000_000);
    Some(now.saturating_sub(start) / 1_000_000_000)
}

/// One line of /proc/net/nf_conntrack; entries that the kernel would not print give none.
/// `use=` is what a reader saw: it holds a reference itself.
///
/// # Errors
/// If writing fails.
pub fn proc_line(out: &mut Vec<u8>, entry: &Entry, now: Option<i64>) -> io::Result<()> {
    if entry.hidden_from_proc() {
        return Ok(());
    }
    // A protocol that this kernel was built without is listed by its addresses only.
    let [orig, reply] = entry.tuples.map(|tuple| match entry.known_protocol {
        true => tuple,
        false => Tuple {
            detail: Detail::None,
            ..tuple
        },
    });
    let name = match entry.named {
        true => orig.l4name(),
        false => "unknown",
    };
    write!(
        out,
        "{:<8} {} {name:<8} {} ",
        orig.l3name(),
        orig.l3num,
        orig.l4num
    )?;
    let offloaded = entry.is(status::OFFLOAD);
    if !offloaded {
        let sign = if entry.seconds_late > 0 { "-" } else { "" };
        let seconds = entry.seconds_left.max(entry.seconds_late);
        write!(out, "{sign}{seconds} ")?;
        if let Some(state) = entry.state {
            write!(out, "{state} ")?;
        }
    }
    if let Some((timeout, stream)) = entry.gre {
        write!(out, "timeout={timeout}, stream_timeout={stream} ")?;
    }
    let zone = |out: &mut Vec<u8>, direction: u8, key: &str| match entry.zone {
        Some((id, own)) if own == direction => write!(out, "{key}={id} "),
        _ => Ok(()),
    };
    tuple(out, &orig, Style::Kernel)?;
    zone(out, 1, "zone-orig")?;
    counters(out, entry, 0)?;
    if !entry.is(status::SEEN_REPLY) {
        out.extend_from_slice(b"[UNREPLIED] ");
    }
    tuple(out, &reply, Style::Kernel)?;
    zone(out, 2, "zone-reply")?;
    counters(out, entry, 1)?;
    flags(out, entry);
    if let Some(mark) = entry.mark {
        write!(out, "mark={mark} ")?;
    }
    zone(out, 3, "zone")?;
    if let Some(seconds) = delta_time(entry, now) {
        write!(out, "delta-time={seconds} ")?;
    }
    writeln!(out, "use={}", entry.refs.saturating_add(1))
}

fn flags(out: &mut Vec<u8>, entry: &Entry) {
    let flag: &[u8] = if entry.is(status::HW_OFFLOAD) {
        b"[HW_OFFLOAD] "
    } else if entry.is(status::OFFLOAD) {
        b"[OFFLOAD] "
    } else if entry.is(status::ASSURED) {
        b"[ASSURED] "
    } else {
        b""
    };
    out.extend_from_slice(flag);
}

/// One line of `conntrack -L -o extended,id,timestamp,labels`; what has expired gives none.
/// Labels are printed by the names that connlabel.conf of that machine gives them, and those
/// without a name not at all; a dump has no names.
///
/// # Errors
/// If writing fails.
pub fn conntrack_line(
    out: &mut Vec<u8>,
    entry: &Entry,
    id: Option<u32>,
    now: Option<i64>,
) -> io::Result<()> {
    if entry.hidden_from_proc() {
        return Ok(());
    }
    let [orig, reply] = &entry.tuples;
    write!(
        out,
        "{:<8} {} {:<8} {} ",
        orig.l3name(),
        orig.l3num,
        orig.l4name(),
        orig.l4num
    )?;
    if !entry.is(status::OFFLOAD) {
        write!(out, "{} ", entry.seconds_left)?;
    }
    if let Some(state) = entry.state {
        write!(out, "{state} ")?;
    }
    let zone = |out: &mut Vec<u8>, direction: u8, key: &str| match entry.zone {
        Some((id, own)) if own == direction && id != 0 => write!(out, "{key}={id} "),
        _ => Ok(()),
    };
    tuple(out, orig, Style::Short)?;
    zone(out, 1, "zone-orig")?;
    counters(out, entry, 0)?;
    if !entry.is(status::SEEN_REPLY) {
        out.extend_from_slice(b"[UNREPLIED] ");
    }
    tuple(out, reply, Style::Short)?;
    zone(out, 2, "zone-reply")?;
    counters(out, entry, 1)?;
    flags(out, entry);
    if let Some(mark) = entry.mark {
        write!(out, "mark={mark} ")?;
    }
    zone(out, 3, "zone")?;
    if let Some(seconds) = delta_time(entry, now) {
        write!(out, "delta-time={seconds} ")?;
    }
    if let Some(helper) = &entry.ext.helper {
        write!(out, "helper={} ", printable(helper))?;
    }
    write!(out, "use={}", entry.refs)?;
    if let Some(id) = id {
        write!(out, " id={id}")?;
    }
    out.push(b'\n');
    Ok(())
}

/// One line of /proc/net/nf_conntrack_expect.
///
/// # Errors
/// If writing fails.
pub fn expect_line(out: &mut Vec<u8>, expectation: &Expectation) -> io::Result<()> {
    let own = &expectation.tuple;
    write!(
        out,
        "{} l3proto = {} proto={} ",
        expectation.seconds_left, own.l3num, own.l4num
    )?;
    tuple(out, own, Style::Kernel)?;
    let names = [
        (expect::PERMANENT, "PERMANENT"),
        (expect::INACTIVE, "INACTIVE"),
        (expect::USERSPACE, "USERSPACE"),
    ];
    let set: Vec<&str> = names
        .iter()
        .filter(|(bit, _)| expectation.flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    write!(out, "{}", set.join(","))?;
    if let Some(helper) = &expectation.helper {
        let space = if expectation.flags == 0 { "" } else { " " };
        write!(out, "{space}{}", printable(helper))?;
        if let Some(policy) = &expectation.policy {
            write!(out, "/{}", printable(policy))?;
        }
    }
    out.push(b'\n');
    Ok(())
}

/// /proc/net/stat/nf_conntrack: a header, and a row per possible CPU.
///
/// # Errors
/// If writing fails.
pub fn stat_lines(out: &mut Vec<u8>, rows: &[&CpuStats], count: u64) -> io::Result<()> {
    // Columns of retired counters are used again: searched for clash_resolve since 5.9, delete_list
    // for chaintoolong since 5.15.
    let first = match rows.first() {
        Some(row) if row.clash_resolve.is_none() => "searched",
        _ => "clashres",
    };
    let column = match rows.first() {
        Some(row) if row.chaintoolong.is_none() => "delete_list",
        _ => "chainlength",
    };
    writeln!(
        out,
        "entries  {first} found new invalid ignore delete {column} insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart"
    )?;
    for row in rows {
        let words = [
            row.clash_resolve.unwrap_or(0),
            row.found,
            0,
            row.invalid,
            row.ignore.unwrap_or(0),
            0,
            row.chaintoolong.unwrap_or(0),
            row.insert,
            row.insert_failed,
            row.drop,
            row.early_drop,
            row.error,
        ];
        write!(out, "{:08x} ", count as u32)?;
        for word in words {
            write!(out, " {word:08x}")?;
        }
        writeln!(
            out,
            "  {:08x} {:08x} {:08x} {:08x}",
            row.expect_new, row.expect_create, row.expect_delete, row.search_restart
        )?;
    }
    Ok(())
}

/// `conntrack -S`.
///
/// # Errors
/// If writing fails.
pub fn stats_lines(out: &mut Vec<u8>, rows: &[&CpuStats]) -> io::Result<()> {
    for row in rows {
        write!(
            out,
            "cpu={:<4}\tfound={} invalid={} ",
            row.cpu, row.found, row.invalid
        )?;
        if let Some(ignore) = row.ignore {
            write!(out, "ignore={ignore} ")?;
        }
        write!(
            out,
            "insert={} insert_failed={} drop={} early_drop={} error={} search_restart={} ",
            row.insert, row.insert_failed, row.drop, row.early_drop, row.error, row.search_restart
        )?;
        if let Some(clash) = row.clash_resolve {
            write!(out, "clash_resolve={clash} ")?;
        }
        if let Some(long) = row.chaintoolong {
            write!(out, "chaintoolong={long} ")?;
        }
        out.push(b'\n');
    }
    Ok(())
}
