//! Words that several forms of rules have in common.

use crate::subsys::net::rules::nft::Verdict;

/// The name of a number; `unknown` if there is none.
pub(super) fn of(names: &[&'static str], number: u8) -> &'static str {
    names.get(usize::from(number)).copied().unwrap_or("unknown")
}

/// A family by its number (NFPROTO_*).
pub(super) fn family(number: u8) -> &'static str {
    crate::subsys::net::rules::nft::Family(number).name()
}

/// As rules and elements have it, with libnftnl's arrow.
pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Jump(chain) => format!("jump -> {chain}"),
        Verdict::Goto(chain) => format!("goto -> {chain}"),
        other => plain_verdict(other),
    }
}

/// As nft has it.
pub(super) fn nft_verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Goto(chain) => format!("goto {chain}"),
        other => plain_verdict(other),
    }
}

fn plain_verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Drop => "drop".to_owned(),
        Verdict::Accept => "accept".to_owned(),
        Verdict::Continue => "continue".to_owned(),
        Verdict::Break => "break".to_owned(),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(chain) | Verdict::Goto(chain) => chain.clone(),
        Verdict::Other(code) => format!("verdict {code}"),
    }
}

/// A unit of limits.
pub(super) fn unit(seconds: u64) -> String {
    match seconds {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        3600 => "hour".to_owned(),
        86400 => "day".to_owned(),
        604_800 => "week".to_owned(),
        other => format!("{other} seconds"),
    }
}

/// `saddr . iif oif present`, as expressions of fib have it.
pub(super) fn fib(result: u32, flags: u32) -> String {
    let from = [
        (1, "saddr"),
        (2, "daddr"),
        (4, "mark"),
        (8, "iif"),
        (16, "oif"),
    ];
    let from: Vec<&str> = from
        .iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    let result = of(&["unspec", "oif", "oifname", "type"], result.min(9) as u8);
    let present = if flags & 32 != 0 { " present" } else { "" };
    format!("{} {result}{present}", from.join(" . "))
}

/// NF_LOG_*.
pub(super) fn log_flags(flags: u32) -> impl Iterator<Item = &'static str> {
    let all = [
        (1, "tcpseq"),
        (2, "tcpopt"),
        (4, "ipopt"),
        (8, "uid"),
        (16, "nflog"),
        (32, "macdecode"),
    ];
    all.into_iter()
        .filter(move |(bit, _)| flags & bit != 0)
        .map(|(_, name)| name)
}

/// States of TCP and what the kernel waits by default (libnftnl, src/obj/ct_timeout.c).
const TCP: [(&str, u32); 11] = [
    ("syn_sent", 120),
    ("syn_recv", 60),
    ("established", 432_000),
    ("fin_wait", 120),
    ("close_wait", 60),
    ("last_ack", 30),
    ("time_wait", 120),
    ("close", 10),
    ("syn_sent2", 120),
    ("retrans", 300),
    ("unack", 300),
];

/// Those of UDP.
const UDP: [(&str, u32); 2] = [("unreplied", 30), ("replied", 180)];

/// Timeouts that are not the default: state and seconds.
pub(super) fn changed_timeouts(l4proto: u8, seconds: &[u32]) -> Vec<(&'static str, u32)> {
    let known: &[(&str, u32)] = match l4proto {
        6 => &TCP,
        _ => &UDP,
    };
    let pairs = known.iter().zip(seconds);
    pairs
        .filter(|((_, default), now)| default != *now)
        .map(|((name, _), now)| (*name, *now))
        .collect()
}
