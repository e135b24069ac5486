//! `net` against what the guests of the scenario `sockets` printed of themselves just before they
//! died.

use serde_json::Value;

use crate::support::{RealDump, json, number, printed, real_dumps, run};

const GUESTS: [&str; 3] = ["5.10-sockets", "6.1-sockets", "7.2-sockets"];
/// Requests for a neighbour that does not answer, of 42 bytes each, one a second.
const REQUESTS: u64 = 60;

fn file(dump: &RealDump, format: &str) -> String {
    printed(dump, "net", &["--format", format])
}

#[test]
fn neighbours_and_routes_are_what_the_kernel_printed() {
    for dump in real_dumps(&GUESTS) {
        for table in ["arp", "route"] {
            let theirs = dump.captured(&format!("net_{table}"));
            assert_eq!(file(&dump, table), theirs, "{} {table}", dump.name);
            assert!(theirs.lines().count() > 6, "{} {table}", dump.name);
        }
    }
}

/// But for requests on the one device where neighbours are asked for in vain.
#[test]
fn counters_of_interfaces_are_what_the_kernel_printed() {
    for dump in real_dumps(&GUESTS) {
        let (ours, theirs) = (file(&dump, "dev"), dump.captured("net_dev"));
        assert_eq!(
            ours.lines().count(),
            theirs.lines().count(),
            "{}",
            dump.name
        );
        for (one, other) in ours.lines().zip(theirs.lines()) {
            let what = format!("{}: {one:?} for {other:?}", dump.name);
            if !one.trim_start().starts_with("lan:") {
                assert_eq!(one, other, "{what}");
                continue;
            }
            let numbers = |line: &str| {
                let words = line.split_whitespace().skip(1);
                words
                    .map(|word| word.parse().expect("a number"))
                    .collect::<Vec<u64>>()
            };
            let (now, before) = (numbers(one), numbers(other));
            for (index, (now, before)) in now.iter().zip(&before).enumerate() {
                let more = now - before;
                match index {
                    // An answer may come in between.
                    0 => assert!(more <= 42 * 2, "{what}"),
                    1 => assert!(more <= 2, "{what}"),
                    8 => assert!(more % 42 == 0 && more <= 42 * REQUESTS, "{what}"),
                    9 => assert!(more <= REQUESTS, "{what}"),
                    _ => assert_eq!(more, 0, "{what}"),
                }
            }
        }
    }
}

/// What `tc -s qdisc` and `ip addr` said, and a namespace that only a socket keeps.
#[test]
fn queues_addresses_and_namespaces() {
    for dump in real_dumps(&GUESTS) {
        let document = json(&printed(&dump, "net", &["--format", "json"]));
        let namespaces = document["namespaces"].as_array().expect("namespaces");
        let initial = &namespaces[0];
        assert_eq!(initial["initial"], true, "{}", dump.name);
        let devices = initial["devices"].as_array().expect("devices");
        let device = |name: &str| devices.iter().find(|one| one["name"] == name).expect("it");
        let tc = dump.captured("tc_qdisc");
        for (name, kind) in [("held", "netem"), ("slow", "tbf")] {
            let queue = &device(name)["qdiscs"][0];
            assert_eq!(queue["kind"], kind, "{}", dump.name);
            let line = format!("backlog {}b {}p", queue["backlog_bytes"], queue["packets"]);
            assert!(tc.contains(&line), "{}: {line} in {tc}", dump.name);
        }
        let addresses = dump.captured("ip_addr");
        let mut seen = 0;
        for device in devices {
            for address in device["addresses"].as_array().expect("addresses") {
                let text = address["address"].as_str().expect("text");
                assert!(
                    addresses.contains(&format!(" {text} ")),
                    "{}: {text}",
                    dump.name
                );
                seen += 1;
            }
        }
        let theirs = addresses
            .lines()
            .filter(|line| line.trim().starts_with("inet"));
        assert_eq!(seen, theirs.count(), "{}", dump.name);
        let kept: Vec<&Value> = namespaces
            .iter()
            .filter(|net| net["processes"] == 0)
            .collect();
        assert_eq!(kept.len(), 1, "{}", dump.name);
        assert_eq!(number(&kept[0]["sockets"]), 1, "{}", dump.name);
        let holder = kept[0]["held_by"][0].as_str().expect("a holder");
        assert!(
            holder.starts_with("foreign (pid "),
            "{}: {holder}",
            dump.name
        );
    }
}

#[test]
fn without_a_vmlinux_the_same() {
    for dump in real_dumps(&["6.1", "6.12", "6.12-arm64", "7.2"]) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, text, stderr) = run(&["net", "--format", "json", "--types", "btf", vmcore]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        let by_btf = json(&text);
        let by_dwarf = json(&printed(&dump, "net", &["--format", "json"]));
        for part in ["namespaces", "neighbours"] {
            assert_eq!(by_btf[part], by_dwarf[part], "{} {part}", dump.name);
        }
    }
}
