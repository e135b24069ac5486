//! The table of sysctls that matter for memory and connections, each with its threshold.

use super::CheckLevel::{Notice, Ok, Reached};
use super::{CheckLevel, Facts};

type Judgement = Option<(CheckLevel, String)>;

/// One sysctl: what it bounds, and the rule that judges its numbers.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) means: &'static str,
    pub(super) judge: fn(&Facts<'_>, &[u64]) -> Judgement,
}

/// Values that rules compare with.
pub(super) const OTHERS: &[&str] = &[
    "fs.aio-nr",
    "fs.file-nr",
    "kernel.pty.nr",
    "net.netfilter.nf_conntrack_count",
    "vm.overcommit_ratio",
];

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "net.netfilter.nf_conntrack_max",
        means: "connections tracked at once; beyond it new ones are dropped",
        judge: |facts, n| used(facts.number("net.netfilter.nf_conntrack_count"), first(n)?),
    },
    Rule {
        name: "net.netfilter.nf_conntrack_buckets",
        means: "buckets of the connection table",
        judge: |facts, n| {
            let buckets = first(n)?.max(1);
            let max = facts.number("net.netfilter.nf_conntrack_max")?;
            let chain = max as f64 / buckets as f64;
            let text = format!("a full table has {chain:.1} connections in a bucket");
            Some((notice_if(chain > 8.0), text))
        },
    },
    Rule {
        name: "net.netfilter.nf_conntrack_tcp_timeout_established",
        means: "seconds that an idle TCP connection stays in the table",
        judge: |_, n| longer(first(n)?, 86_400, "idle connections"),
    },
    Rule {
        name: "net.netfilter.nf_conntrack_udp_timeout",
        means: "seconds that an unanswered UDP flow stays in the table",
        judge: |_, n| longer(first(n)?, 60, "single datagrams"),
    },
    Rule {
        name: "net.netfilter.nf_conntrack_generic_timeout",
        means: "seconds that a flow of an unknown protocol stays in the table",
        judge: |_, n| longer(first(n)?, 600, "flows of other protocols"),
    },
    Rule {
        name: "net.ipv4.tcp_mem",
        means: "pages for the buffers of all TCP sockets: low, pressure, high",
        judge: |facts, n| pages(facts, n, facts.usage.tcp_pages),
    },
    Rule {
        name: "net.ipv4.udp_mem",
        means: "pages for the buffers of all UDP sockets: low, pressure, high",
        judge: |facts, n| pages(facts, n, facts.usage.udp_pages),
    },
    Rule {
        name: "net.ipv4.tcp_rmem",
        means: "bytes of a TCP socket's receive buffer: least, default, most",
        judge: |facts, n| per_socket(facts, *n.get(2)?),
    },
    Rule {
        name: "net.ipv4.tcp_wmem",
        means: "bytes of a TCP socket's send buffer: least, default, most",
        judge: |facts, n| per_socket(facts, *n.get(2)?),
    },
    Rule {
        name: "net.core.rmem_max",
        means: "bytes of a receive buffer that a program may ask for",
        judge: |facts, n| per_socket(facts, first(n)?),
    },
    Rule {
        name: "net.core.wmem_max",
        means: "bytes of a send buffer that a program may ask for",
        judge: |facts, n| per_socket(facts, first(n)?),
    },
    Rule {
        name: "net.core.somaxconn",
        means: "connections that wait to be accepted, per listening socket",
        judge: |facts, n| {
            let refused = facts.network.listen_overflows;
            match refused.filter(|count| *count > 0) {
                Some(count) => Some((
                    Notice,
                    format!(
                        "{count} connections were refused since boot: as many waited for a program as it had asked for, or as this lets it"
                    ),
                )),
                None => fewer(
                    first(n)?,
                    1024,
                    "a burst of new connections is dropped early",
                ),
            }
        },
    },
    Rule {
        name: "net.ipv4.tcp_max_syn_backlog",
        means: "half-open connections per listening socket",
        judge: |_, n| {
            fewer(
                first(n)?,
                128,
                "a burst of new connections is dropped early",
            )
        },
    },
    Rule {
        name: "net.ipv4.tcp_syncookies",
        means: "whether a full backlog is answered with cookies",
        judge: |_, n| match first(n)? {
            0 => Some((Notice, "off: a SYN flood fills the backlogs".into())),
            _ => Some((Ok, "on: a SYN flood takes no memory".into())),
        },
    },
    Rule {
        name: "net.ipv4.tcp_max_tw_buckets",
        means: "sockets in TIME_WAIT; beyond it they are closed at once",
        judge: |facts, n| {
            let max = first(n)?;
            let (level, text) = used(facts.network.tcp_time_wait, max)?;
            match (level, max < 4 << 10) {
                (Ok, true) => Some((
                    Notice,
                    format!("{text}; few: closed sockets may be reused too early"),
                )),
                _ => Some((level, text)),
            }
        },
    },
    Rule {
        name: "net.ipv4.tcp_max_orphans",
        means: "closed TCP sockets that still hold memory, up to 64 KiB each",
        judge: |facts, n| {
            let bytes = first(n)?.checked_mul(64 << 10)?;
            let room = format!("they may hold {}", amount(facts, bytes));
            worse(
                used(facts.usage.tcp_orphans, first(n)?)?,
                over(facts, bytes, 100.0),
                room,
            )
        },
    },
    Rule {
        name: "net.ipv4.tcp_fin_timeout",
        means: "seconds that a closed socket waits for the other end's FIN",
        judge: |_, n| longer(first(n)?, 60, "closed sockets"),
    },
    Rule {
        name: "net.ipv4.tcp_keepalive_time",
        means: "idle seconds before a dead peer is looked for",
        judge: |_, n| longer(first(n)?, 7200, "sockets of dead peers"),
    },
    Rule {
        name: "net.ipv4.tcp_retries2",
        means: "retransmissions before a connection is given up",
        judge: |_, n| longer_than(first(n)?, 15, "retransmissions", "sockets of dead peers"),
    },
    Rule {
        name: "net.ipv4.ip_local_port_range",
        means: "ports for connections that the machine opens itself",
        judge: |_, n| {
            let (low, high) = (first(n)?, *n.get(1)?);
            let ports = (high + 1).saturating_sub(low);
            let text = format!("{ports} connections to one address and port at once");
            Some((notice_if(ports < 16_384), text))
        },
    },
    Rule {
        name: "net.ipv4.neigh.default.gc_thresh3",
        means: "IPv4 neighbours (ARP entries); beyond it new ones are refused",
        judge: |facts, n| used(facts.usage.ipv4_neighbours, first(n)?),
    },
    Rule {
        name: "net.ipv6.neigh.default.gc_thresh3",
        means: "IPv6 neighbours; beyond it new ones are refused",
        judge: |facts, n| used(facts.usage.ipv6_neighbours, first(n)?),
    },
    Rule {
        name: "net.ipv4.ipfrag_high_thresh",
        means: "bytes for fragments of IPv4 packets that wait for the rest",
        judge: |facts, n| fragments(facts, first(n)?, facts.network.ipv4_fragment_bytes),
    },
    Rule {
        name: "net.ipv6.ip6frag_high_thresh",
        means: "bytes for fragments of IPv6 packets that wait for the rest",
        judge: |facts, n| fragments(facts, first(n)?, facts.network.ipv6_fragment_bytes),
    },
    Rule {
        name: "fs.aio-max-nr",
        means: "events of asynchronous I/O that programs may ask for in all",
        judge: |facts, n| used(facts.number("fs.aio-nr"), first(n)?),
    },
    Rule {
        name: "kernel.pty.max",
        means: "pseudo-terminals",
        judge: |facts, n| used(facts.number("kernel.pty.nr"), first(n)?),
    },
    Rule {
        name: "fs.file-max",
        means: "open files of the whole machine; beyond it open() fails",
        judge: |facts, n| used(facts.number("fs.file-nr"), first(n)?),
    },
    Rule {
        name: "kernel.threads-max",
        means: "threads of the whole machine; beyond it fork() fails",
        judge: |facts, n| used(facts.usage.threads, first(n)?),
    },
    Rule {
        name: "kernel.pid_max",
        means: "numbers for processes and threads",
        judge: |facts, n| used(facts.usage.threads, first(n)?),
    },
    Rule {
        name: "vm.min_free_kbytes",
        means: "KiB that are kept free for allocations that can't wait",
        judge: |facts, n| {
            let bytes = first(n)?.checked_mul(1024)?;
            let share = facts.share(bytes);
            let odd = share.is_some_and(|share| !(0.05..=5.0).contains(&share));
            Some((notice_if(odd), amount(facts, bytes)))
        },
    },
    Rule {
        name: "vm.overcommit_memory",
        means: "whether more memory is promised than there is: 0 within reason, 1 always, 2 never",
        judge: |facts, n| {
            let text = match first(n)? {
                0 => return Some((Ok, "obvious overcommits are refused".into())),
                1 => "nothing is refused: the OOM killer decides".to_owned(),
                _ => format!(
                    "malloc() fails beyond {} % of RAM and swap, with memory to spare",
                    facts.number("vm.overcommit_ratio").unwrap_or(50)
                ),
            };
            Some((Notice, text))
        },
    },
    Rule {
        name: "vm.panic_on_oom",
        means: "whether the machine panics when memory is out",
        judge: |_, n| match first(n)? {
            0 => Some((Ok, "the OOM killer ends a process".into())),
            _ => Some((Notice, "the machine panics when memory is out".into())),
        },
    },
    Rule {
        name: "vm.vfs_cache_pressure",
        means: "how readily dentries and inodes are given back; 100 is even",
        judge: |_, n| match first(n)? {
            0 => Some((Notice, "dentries and inodes are never given back".into())),
            1..50 => Some((Notice, "dentries and inodes are given back late".into())),
            _ => Some((Ok, "dentries and inodes are given back".into())),
        },
    },
    Rule {
        name: "vm.dirty_ratio",
        means: "per cent of the memory that may wait to be written",
        judge: |_, n| {
            let text = format!("writers are held up from {} % on", first(n)?);
            Some((notice_if(first(n)? > 40), text))
        },
    },
    Rule {
        name: "vm.nr_hugepages",
        means: "huge pages set aside, of no use to anything else",
        judge: |_, n| match first(n)? {
            0 => Some((Ok, "none are set aside".into())),
            pages => Some((Notice, format!("{pages} huge pages are set aside"))),
        },
    },
    Rule {
        name: "vm.zone_reclaim_mode",
        means: "whether a NUMA node reclaims before another one is asked",
        judge: |_, n| match first(n)? {
            0 => Some((Ok, "other nodes are asked first".into())),
            _ => Some((Notice, "a node may reclaim while another has memory".into())),
        },
    },
];

fn first(numbers: &[u64]) -> Option<u64> {
    numbers.first().copied()
}

fn notice_if(bad: bool) -> CheckLevel {
    match bad {
        true => Notice,
        false => Ok,
    }
}

/// Notice from `limit` per cent of the RAM on.
fn over(facts: &Facts<'_>, bytes: u64, limit: f64) -> CheckLevel {
    notice_if(facts.share(bytes).is_some_and(|share| share >= limit))
}

fn amount(facts: &Facts<'_>, bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match facts.share(bytes) {
        Some(share) => format!("{mib:.1} MiB, {share:.1} % of RAM"),
        None => format!("{mib:.1} MiB"),
    }
}

/// How full something is: a notice from 90 % on.
fn used(count: Option<u64>, max: u64) -> Judgement {
    used_of(count, max, "")
}

/// As [`used`], of something that has a name.
fn used_of(count: Option<u64>, max: u64, what: &str) -> Judgement {
    let Some(count) = count else {
        return Some((Ok, "the dump does not tell how many were in use".into()));
    };
    let share = count as f64 * 100.0 / max.max(1) as f64;
    let text = format!("{count} of {max}{what} in use ({share:.1} %)");
    Some(match count {
        _ if count >= max => (Reached, format!("{text}: the limit was reached")),
        _ if share >= 90.0 => (Notice, format!("{text}: hardly any room was left")),
        _ => (Ok, text),
    })
}

fn longer(seconds: u64, usual: u64, what: &str) -> Judgement {
    longer_than(seconds, usual, "s", what)
}

fn longer_than(value: u64, usual: u64, unit: &str, what: &str) -> Judgement {
    Some(match value > usual {
        true => (Notice, format!("{value} {unit} is long: {what} pile up")),
        false => (Ok, format!("{what} go after {value} {unit}")),
    })
}

fn fewer(value: u64, usual: u64, what: &str) -> Judgement {
    Some(match value < usual {
        true => (Notice, what.to_owned()),
        false => (Ok, format!("{value} have room")),
    })
}

/// Pages in use against the third number, beyond which nothing is given, and the second, from
/// which on the kernel holds back.
fn pages(facts: &Facts<'_>, numbers: &[u64], in_use: Option<u64>) -> Judgement {
    let (pressure, high) = (*numbers.get(1)?, *numbers.get(2)?);
    let bytes = high.checked_mul(facts.usage.page_bytes)?;
    let room = format!("buffers may take {}", amount(facts, bytes));
    let by_use = match in_use {
        Some(pages) if pages < high && pages >= pressure => (
            Notice,
            format!("{pages} of {high} pages in use: the kernel held back from {pressure} on"),
        ),
        _ => used_of(in_use, high, " pages")?,
    };
    worse(by_use, over(facts, bytes, 50.0), room)
}

/// What a limit's use says, with what it would be in memory; the worse of both levels.
fn worse((level, text): (CheckLevel, String), other: CheckLevel, room: String) -> Judgement {
    Some((level.max(other), format!("{text}; {room}")))
}

fn fragments(facts: &Facts<'_>, most: u64, in_use: Option<u64>) -> Judgement {
    let room = format!("at most {}", amount(facts, most));
    worse(
        used_of(in_use, most, " bytes")?,
        over(facts, most, 5.0),
        room,
    )
}

fn per_socket(facts: &Facts<'_>, bytes: u64) -> Judgement {
    let text = format!("one socket may take {}", amount(facts, bytes));
    Some((over(facts, bytes, 2.0), text))
}
