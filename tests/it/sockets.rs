//! `sockets` against what the guests of the scenario `sockets` printed of themselves just before
//! they died: /proc/net line by line, who has which descriptor, and what was planted.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{RealDump, json, number, printed, real_dumps, run};

mod ss;

const GUESTS: [&str; 3] = ["5.10-sockets", "6.1-sockets", "7.2-sockets"];
/// Hundredths of a second that pass at most from the capture to the panic.
const MOMENT: u64 = 6000;

fn file(dump: &RealDump, table: &str) -> String {
    printed(dump, "sockets", &["--format", "proc", "--table", table])
}

fn document(dump: &RealDump) -> Value {
    json(&printed(dump, "sockets", &["--format", "json"]))
}

fn sockets(document: &Value) -> &Vec<Value> {
    document["sockets"].as_array().expect("sockets")
}

/// Nothing in these files moves by itself, so each is what it was, pointers, order and padding
/// too.
#[test]
fn files_of_proc_are_what_the_kernel_printed() {
    for dump in real_dumps(&GUESTS) {
        let mut files = 0;
        for table in [
            "udp",
            "udp6",
            "udplite",
            "udplite6",
            "raw",
            "raw6",
            "unix",
            "packet",
            "netlink",
            "sockstat",
            "sockstat6",
            "protocols",
        ] {
            // UDP-Lite is gone from 7.1 on.
            if dump
                .folder
                .join("cap")
                .join(format!("net_{table}"))
                .exists()
            {
                let theirs = dump.captured(&format!("net_{table}"));
                assert_eq!(file(&dump, table), theirs, "{} {table}", dump.name);
                files += 1;
            }
        }
        assert!(files >= 10, "{}: {files}", dump.name);
    }
}

/// A line of /proc/net/tcp, less its timer and what a timer that ran out changes; and that timer.
fn parts(line: &str) -> (Vec<&str>, Option<(u64, u64)>) {
    let mut words: Vec<&str> = line.split_whitespace().collect();
    let Some((kind, when)) = words.get(5).and_then(|word| word.split_once(':')) else {
        return (words, None);
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let timer = hex(kind).zip(hex(when));
    let retransmits = matches!(timer, Some((1 | 4, _)));
    words.truncate(if retransmits {
        11.min(words.len())
    } else {
        words.len()
    });
    // How often it has run out stands behind it.
    words.drain(5..if retransmits { 7 } else { 6 });
    (words, timer)
}

/// All but timers is equal to the letter; what is left of a timer that only runs down is less by
/// the same time in each line.
#[test]
fn tcp_is_what_the_kernel_printed_but_for_the_time_since() {
    for dump in real_dumps(&GUESTS) {
        for table in ["tcp", "tcp6"] {
            let (ours, theirs) = (file(&dump, table), dump.captured(&format!("net_{table}")));
            let mut elapsed = Vec::new();
            for (one, other) in ours.lines().zip(theirs.lines()) {
                let what = format!("{}: {one:?} for {other:?}", dump.name);
                let ((text, timer), (wanted, before)) = (parts(one), parts(other));
                assert_eq!(text, wanted, "{what}");
                assert_eq!(one.len(), other.len(), "{what}");
                let (Some((kind, now)), Some((wanted, before))) = (timer, before) else {
                    continue;
                };
                assert_eq!(kind, wanted, "{what}");
                match kind {
                    // None runs.
                    0 => assert_eq!(now, before, "{what}"),
                    // TIME_WAIT and keepalive: nothing starts them again.
                    2 | 3 => elapsed.push(before - now),
                    _ => {}
                }
            }
            assert_eq!(
                ours.lines().count(),
                theirs.lines().count(),
                "{}",
                dump.name
            );
            let (least, most) = (elapsed.iter().min(), elapsed.iter().max());
            let (least, most) = (least.expect("some run"), most.expect("some run"));
            assert!(
                most - least < 5 && *most < MOMENT,
                "{}: {elapsed:?}",
                dump.name
            );
            if table == "tcp" {
                assert_eq!(elapsed.len(), 40, "{}: those in TIME_WAIT", dump.name);
            }
        }
    }
}

/// Of other namespaces, whose tables the kernel shares: the gateway's neighbours.
#[test]
fn each_namespace_has_its_own() {
    for dump in real_dumps(&GUESTS) {
        let document = document(&dump);
        let namespaces = document["namespaces"].as_array().expect("namespaces");
        let mut found = BTreeSet::new();
        for namespace in namespaces {
            let inum = namespace["inum"].to_string();
            let args = ["--format", "proc", "--table", "udp", "--netns", &inum];
            let ours = printed(&dump, "sockets", &args);
            for side in ["", ".lan", ".wan"] {
                if ours == dump.captured(&format!("net_udp{side}")) {
                    found.insert(side);
                }
            }
        }
        assert_eq!(found.len(), 3, "{}: {found:?}", dump.name);
    }
}

/// The guest followed the links in /proc/PID/fd.
#[test]
fn owners_are_those_that_the_guest_listed() {
    for dump in real_dumps(&GUESTS) {
        let document = document(&dump);
        let mut ours = BTreeSet::new();
        for socket in sockets(&document) {
            for owner in socket["owners"].as_array().expect("owners") {
                ours.insert(format!(
                    "/proc/{}/fd/{} socket:[{}] {}",
                    owner["pid"],
                    owner["fd"],
                    socket["inode"],
                    owner["comm"].as_str().expect("a name")
                ));
            }
        }
        let theirs = dump.captured("owners");
        // Those of the programs that captured it are gone.
        let missing: Vec<&str> = theirs
            .lines()
            .filter(|line| !ours.contains(*line))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?}", dump.name);
        assert!(theirs.lines().count() > 1000, "{}", dump.name);
        assert_eq!(ours.len(), theirs.lines().count(), "{}", dump.name);
    }
}

/// scripts/guest/queues.c
#[test]
fn planted_queues_are_found_with_their_owners() {
    for dump in real_dumps(&GUESTS) {
        let document = document(&dump);
        let all = sockets(&document);
        let of = |comm: &str| {
            let all = all.iter();
            let all = all.filter(|socket| socket["owners"][0]["comm"] == comm);
            all.collect::<Vec<&Value>>()
        };
        let queue = |socket: &Value, name: &str, member: &str| {
            let queues = socket["queues"].as_array().expect("queues").iter();
            let queues = queues.filter(|queue| queue["name"] == name);
            queues.map(|queue| number(&queue[member])).sum::<u64>()
        };
        let unread = of("udp-unread")[0];
        let lies_in = |member| queue(unread, "receive", member) + queue(unread, "reader", member);
        assert_eq!(lies_in("skbs"), 2000, "{}", dump.name);
        assert_eq!(lies_in("bytes"), 2_000_000, "{}", dump.name);
        let charged = number(&unread["limits"]["rmem_alloc_bytes"]);
        assert_eq!(lies_in("truesize_bytes"), charged, "{}", dump.name);
        // Of bytes in flight, the queues hold what the sequence numbers say.
        let full: Vec<&Value> = all
            .iter()
            .filter(|socket| socket["kind"] == "tcp" && socket["state"] == "ESTAB")
            .filter(|socket| number(&socket["send_q"]) > 0)
            .collect();
        assert_eq!(full.len(), 8, "{}", dump.name);
        for socket in full {
            let sent = queue(socket, "write", "bytes") + queue(socket, "retransmit", "bytes");
            assert_eq!(sent, number(&socket["send_q"]), "{}: {socket}", dump.name);
            let charged = number(&socket["limits"]["wmem_queued_bytes"]);
            assert_eq!(number(&socket["truesize"]), charged, "{}", dump.name);
        }
        let held_by = |who: &str| all.iter().filter(|one| one["held_by"] == who).count();
        assert_eq!(held_by("orphan"), 12, "{}", dump.name);
        assert_eq!(
            held_by("protocol"),
            45,
            "{}: TIME_WAIT, SYN_RECV",
            dump.name
        );
        let local = |at: &str| all.iter().find(|socket| socket["local"] == at).expect("it");
        assert_eq!(
            local("127.0.0.1:5005")["held_by"],
            "no_process",
            "{}",
            dump.name
        );
        assert_eq!(local("127.0.0.1:5003")["mark"], 42, "{}", dump.name);
        let errors = of("udp-odd")
            .iter()
            .map(|one| queue(one, "error", "skbs"))
            .sum::<u64>();
        assert_eq!(errors, 1, "{}", dump.name);
        let ring = of("packet-ring")
            .iter()
            .map(|s| number(&s["packet"]["ring_bytes"]))
            .sum::<u64>();
        assert_eq!(ring, 1 << 20, "{}", dump.name);
        let overflowed = local("127.0.0.1:6002");
        assert_eq!(overflowed["listen"]["waiting"], 3, "{}", dump.name);
        assert_eq!(overflowed["listen"]["backlog"], 2, "{}", dump.name);
    }
}

/// What was planted is in the first screen, with process and bytes.
#[test]
fn limits_that_were_reached_come_first() {
    for dump in real_dumps(&GUESTS) {
        let text = printed(&dump, "sockets", &[]);
        let first = text.lines().take(50).collect::<Vec<_>>().join("\n");
        for word in [
            "pressure",
            "as many as tcp_max_tw_buckets",
            "127.0.0.1:6002 of tcp-overflow (pid",
            "Orphans    12 of",
            "udp-unread",
            "tcp-unread",
        ] {
            assert!(first.contains(word), "{}: {word} in {first}", dump.name);
        }
    }
}

/// net/core/sock.c: what all sockets are charged for is what the protocol counts, once what CPUs
/// keep for themselves is added.
#[test]
fn charges_add_up_to_the_protocols_own_count() {
    for dump in real_dumps(&GUESTS) {
        let document = document(&dump);
        for (kinds, counter) in [
            (["tcp", "mptcp"], "tcp_pages"),
            (["udp", "udplite"], "udp_pages"),
        ] {
            let of = sockets(&document).iter().filter(|socket| {
                let kind = socket["kind"].as_str().unwrap_or_default();
                kinds.contains(&kind) && !socket["limits"].is_null()
            });
            let sum: i64 = of
                .map(|socket| {
                    let limits = &socket["limits"];
                    let forward = limits["forward_alloc_bytes"].as_i64().expect("a number");
                    let queued = match kinds[0] {
                        "tcp" => number(&limits["wmem_queued_bytes"]),
                        _ => 0,
                    };
                    (number(&limits["rmem_alloc_bytes"]) + queued) as i64 + forward
                })
                .sum();
            let pages = number(&document["counters"][counter]) as i64;
            // Less than a page of each protocol is apart, for bytes are charged by pages.
            assert!(
                (sum / 4096).abs_diff(pages) <= 1,
                "{} {counter}: {sum}",
                dump.name
            );
        }
    }
}

#[test]
fn without_a_vmlinux_the_same() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "6.12-arm64", "7.2"]) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let btf = ["sockets", "--format", "json", "--types", "btf", vmcore];
        let (code, text, stderr) = run(&btf);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        let (by_btf, by_dwarf) = (json(&text), document(&dump));
        for part in ["summary", "counters", "sockets"] {
            assert_eq!(by_btf[part], by_dwarf[part], "{} {part}", dump.name);
        }
        assert!(sockets(&by_dwarf).len() > 1000, "{}", dump.name);
    }
}
