//! `rules` against what a guest printed of a large rule set (the dump rules-6.1), and the rules that
//! the gateways of the other guests were given; `nat` names them.

mod ebtables;
mod iptables_nft;
mod thinned;

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{dump_named, json, printed, real_dumps, run, skip};

/// The dump and its captures.
fn guest() -> Option<(PathBuf, PathBuf)> {
    let Some(vmcore) = dump_named("rules-6.1") else {
        skip("rules-6.1: no such dump (VMLEAK_DUMPS)");
        return None;
    };
    let captures = vmcore.parent().expect("a folder").join("cap");
    Some((vmcore, captures))
}

/// What an array of a document has.
fn rows<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value[key].as_array().into_iter().flatten()
}

/// By the types in the dump itself.
fn rules(vmcore: &std::path::Path, format: &str) -> String {
    let path = vmcore.to_str().expect("UTF-8");
    let args = [
        "rules",
        "--no-default-debug-directories",
        "--types",
        "btf",
        "--format",
        format,
        path,
    ];
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{format}: {stderr}");
    stdout
}

/// Without what went on between the capture and the dump: times, and what comments of a program say
/// of itself.
fn still(text: &str) -> Vec<String> {
    let moving = ["expires", "timeout"];
    let of_line = |line: &str| {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split(' ') {
            let after = words.last().is_some_and(|last| moving.contains(last));
            words.push(if after { "…" } else { word });
        }
        words.join(" ")
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(of_line)
        .collect()
}

#[track_caller]
fn same(ours: &str, theirs: &str, least: usize) {
    let (ours, theirs) = (still(ours), still(theirs));
    for (number, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(one, other, "line {}", number + 1);
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > least, "{} lines", ours.len());
}

fn captured(captures: &std::path::Path, name: &str) -> String {
    std::fs::read_to_string(captures.join(name)).expect("a capture")
}

#[test]
fn the_netlink_form_is_what_nft_printed() {
    if let Some((vmcore, captures)) = guest() {
        same(
            &rules(&vmcore, "netlink"),
            &captured(&captures, "nft.netlink"),
            750,
        );
    }
}

#[test]
fn the_list_is_what_nft_printed() {
    if let Some((vmcore, captures)) = guest() {
        let ours = rules(&vmcore, "nft");
        assert!(!ours.contains("no shorter form"), "{ours}");
        same(&ours, &captured(&captures, "nft.a"), 230);
    }
}

#[test]
fn tables_of_iptables_are_what_it_saved() {
    if let Some((vmcore, captures)) = guest() {
        same(
            &rules(&vmcore, "iptables-save"),
            &captured(&captures, "ipt.save"),
            65,
        );
        same(
            &rules(&vmcore, "ip6tables-save"),
            &captured(&captures, "ip6t.save"),
            5,
        );
    }
}

#[test]
fn sets_of_ipset_are_what_it_saved() {
    if let Some((vmcore, captures)) = guest() {
        same(
            &rules(&vmcore, "ipset-save"),
            &captured(&captures, "ipset.save"),
            30,
        );
    }
}

/// The rules that the guests' gateway was given, as they come back from every real kernel, by the
/// types of a vmlinux and its modules' debug files; and those of its client in a namespace of its
/// own.
#[test]
fn the_gateways_rules_come_back() {
    let wanted = [
        "ip daddr 203.0.113.1 tcp dport 80 dnat to 192.168.1.10:80",
        "oifname \"vw\" masquerade",
        "ip saddr 192.168.1.11 ct mark set 0x0000002a",
        "udp dport 69 ct helper set \"tftp-std\"",
        "ip saddr 192.168.1.12 ct label set 5",
        "ct state new accept",
    ];
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let text = printed(&dump, "rules", &["--format", "nft"]);
        let rules: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().split_once(" # handle"))
            .map(|(rule, _)| rule)
            .filter(|rule| !rule.ends_with('{'))
            .collect();
        assert_eq!(rules, wanted, "{}", dump.name);
        let whole = json(&printed(&dump, "rules", &["--format", "json"]));
        let namespaces = whole["namespaces"].as_array().expect("namespaces");
        let with_rules = namespaces
            .iter()
            .filter(|one| {
                one["nf_tables"]
                    .as_array()
                    .is_some_and(|all| !all.is_empty())
            })
            .count();
        assert!(with_rules > 1, "{}: the client has rules too", dump.name);
    }
}

/// The gateway had one rule for each end: every translation of its own namespace is told to be of
/// that, and no other rule translates.
#[test]
fn translations_are_told_to_be_of_their_rules() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let whole = json(&printed(&dump, "nat", &["--format", "json"]));
        let named = |rule: &serde_json::Value| {
            let part = |name: &str| rule[name].as_str().expect("text").to_owned();
            format!("{} {} {}", part("family"), part("table"), part("chain"))
        };
        let mut seen = [0, 0];
        for one in whole["translations"].as_array().expect("translations") {
            let rules = |side: &str| -> Vec<String> {
                one[side]
                    .as_array()
                    .expect("rules")
                    .iter()
                    .map(named)
                    .collect()
            };
            if !one["dnat"].is_null() {
                assert_eq!(rules("dnat_rules"), ["ip nat pre"], "{}: {one}", dump.name);
                seen[0] += 1;
            }
            if !one["snat"].is_null() {
                assert_eq!(rules("snat_rules"), ["ip nat post"], "{}: {one}", dump.name);
                seen[1] += 1;
            }
        }
        let counted: Vec<u64> = whole["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .map(|rule| rule["translations"].as_u64().expect("a number"))
            .collect();
        assert_eq!(counted, [seen[1], seen[0]], "{}", dump.name);
        assert!(seen[0] > 50 && seen[1] > 1000, "{}: {seen:?}", dump.name);
    }
}
