//! Lines of /proc/net/nf_conntrack, nf_conntrack_expect and stat/nf_conntrack, as each
//! era's kernel prints them. No security module is loaded, so there is no `secctx=`.

use std::fmt::Write;
use std::net::IpAddr;

use super::entry::{Entry, HZ, State};
use super::ext;
use super::scenario::{Expectation, HELPERS, Stat};
use super::status::{
    ASSURED, DCCP, GRE, HW_OFFLOAD, ICMP, ICMPV6, OFFLOAD, SCTP, SEEN_REPLY, TCP, UDP, UDPLITE,
};
use super::tuple::{L4, Tuple};
use crate::era::Era;
use crate::machine::identity::CRASHTIME;

/// `ipv4` or `ipv6`.
pub fn l3name(tuple: &Tuple) -> &'static str {
    if tuple.src.is_ipv4() { "ipv4" } else { "ipv6" }
}

/// The protocol's name; `unknown` for what the era's conntrack does not know.
pub fn l4name(era: Era, protonum: u8) -> &'static str {
    match protonum {
        ICMP => "icmp",
        TCP => "tcp",
        UDP => "udp",
        DCCP if era.has_dccp() => "dccp",
        GRE => "gre",
        ICMPV6 => "icmpv6",
        SCTP => "sctp",
        UDPLITE if era.has_udplite() => "udplite",
        _ => "unknown",
    }
}

/// The line of an entry that is printed at all, without its newline.
pub fn line(era: Era, entry: &Entry) -> String {
    let (original, reply) = (&entry.original, &entry.reply);
    let offloaded = entry.status & OFFLOAD != 0;
    let mut out = format!(
        "{:<8} {} {:<8} {} ",
        l3name(original),
        original.l3num(),
        l4name(era, original.protonum),
        original.protonum
    );
    if !offloaded {
        // A timer that is late shows how much.
        let least = if era.is_3_10() { i32::MIN } else { 0 };
        out += &format!("{} ", entry.left.max(least) / HZ);
    }
    match entry.state {
        State::Stateless => {}
        State::Tcp(_) if offloaded => {}
        State::Tcp(name) | State::Sctp(name) | State::Dccp(name) => {
            out.push_str(name);
            out.push(' ');
        }
        State::Gre {
            timeout,
            stream_timeout,
        } => out += &format!("timeout={timeout}, stream_timeout={stream_timeout} "),
    }
    out += &tuple(original);
    out += &zone(entry, 1, "zone-orig");
    out += &counter(entry, 0);
    if entry.status & SEEN_REPLY == 0 {
        out.push_str("[UNREPLIED] ");
    }
    out += &tuple(reply);
    out += &zone(entry, 2, "zone-reply");
    out += &counter(entry, 1);
    if entry.status & HW_OFFLOAD != 0 {
        out.push_str("[HW_OFFLOAD] ");
    } else if offloaded {
        out.push_str("[OFFLOAD] ");
    } else if entry.status & ASSURED != 0 {
        out.push_str("[ASSURED] ");
    }
    out += &format!("mark={} ", entry.mark);
    out += &zone(entry, 3, "zone");
    if let Some(start) = ext::started(entry) {
        let seconds = (CRASHTIME * 1_000_000_000 - start) / 1_000_000_000;
        out += &format!("delta-time={seconds} ");
    }
    // The reader itself holds a reference.
    out += &format!("use={}", entry.uses + 1);
    out
}

/// The tuple with a blank behind each part.
fn tuple(tuple: &Tuple) -> String {
    let address = |address: IpAddr| match address {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let groups = six.segments().map(|group| format!("{group:04x}"));
            groups.join(":")
        }
    };
    let ends = format!("src={} dst={} ", address(tuple.src), address(tuple.dst));
    ends + &match tuple.l4 {
        L4::Ports { src, dst } => format!("sport={src} dport={dst} "),
        L4::Icmp { kind, code, id } => format!("type={kind} code={code} id={id} "),
        L4::Gre { src, dst } => format!("srckey=0x{src:x} dstkey=0x{dst:x} "),
        L4::Nothing => String::new(),
    }
}

fn zone(entry: &Entry, dir: u8, name: &str) -> String {
    if entry.zone.dir == dir {
        format!("{name}={} ", entry.zone.id)
    } else {
        String::new()
    }
}

fn counter(entry: &Entry, dir: usize) -> String {
    let counters = entry.counters.map(|both| both[dir]);
    counters.map_or(String::new(), |each| {
        format!("packets={} bytes={} ", each.packets, each.bytes)
    })
}

/// The line of an expectation.
pub fn expect_line(expected: &Expectation, helper: &str) -> String {
    let mut out = format!(
        "{} l3proto = {} proto={} {}",
        expected.left.max(0) / HZ,
        expected.tuple.l3num(),
        expected.tuple.protonum,
        tuple(&expected.tuple)
    );
    let mut flags = Vec::new();
    for (bit, name) in [(1, "PERMANENT"), (2, "INACTIVE"), (4, "USERSPACE")] {
        if expected.flags & bit != 0 {
            flags.push(name);
        }
    }
    out += &flags.join(",");
    if !flags.is_empty() {
        out.push(' ');
    }
    out.push_str(helper);
    let known = HELPERS.iter().find(|each| each.0 == helper);
    let class = known.expect("a helper").2[expected.class as usize];
    if !class.is_empty() {
        write!(out, "/{class}").expect("a string takes everything");
    }
    out
}

/// /proc/net/stat/nf_conntrack of a namespace: the header and a row for each CPU.
pub fn stat_lines(era: Era, count: u64, stats: &[Stat]) -> Vec<String> {
    let column = if era == Era::V5_10 {
        "delete_list"
    } else {
        "chainlength"
    };
    let mut lines = vec![format!(
        "entries  clashres found new invalid ignore delete {column} insert insert_failed \
         drop early_drop icmp_error  expect_new expect_create expect_delete search_restart"
    )];
    for stat in stats {
        let chain = if era == Era::V5_10 {
            0
        } else {
            stat.chaintoolong
        };
        let columns = [
            stat.clash_resolve,
            stat.found,
            0,
            stat.invalid,
            0,
            0,
            chain,
            stat.insert,
            stat.insert_failed,
            stat.drop,
            stat.early_drop,
            stat.error,
        ];
        let last = [
            stat.expect_new,
            stat.expect_create,
            stat.expect_delete,
            stat.search_restart,
        ];
        let hex = |numbers: &[u32]| {
            let words: Vec<_> = numbers.iter().map(|each| format!("{each:08x}")).collect();
            words.join(" ")
        };
        lines.push(format!("{count:08x}  {}  {}", hex(&columns), hex(&last)));
    }
    lines
}
