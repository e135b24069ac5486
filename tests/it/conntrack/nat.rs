//! The translations of real dumps: every flow through the gateway.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conntrack::real::{document, dumps, number, text};
use crate::support::run;

/// Every flow of the clients behind the gateway is translated there, and shows.
#[test]
fn nat_shows_every_flow_through_the_gateway() {
    for dump in dumps() {
        let document = document(&dump);
        let entries = document["entries"].as_array().expect("entries");
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (code, stdout, stderr) = run(&["nat", "--format", "json", files[0], files[1]]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        let nat: Value = serde_json::from_str(&stdout).expect("JSON");
        let translations = nat["translations"].as_array().expect("translations");
        let initial = document["namespaces"]
            .as_array()
            .expect("namespaces")
            .iter()
            .find(|ns| ns["initial"] == true)
            .expect("an initial namespace");
        let key = |entry: &Value| {
            let orig = &entry["original"];
            format!("{} {orig}", entry["l4proto"])
                .replace(&format!(",\"packets\":{}", orig["packets"]), "")
        };
        let shown: BTreeMap<&str, &Value> = translations
            .iter()
            .map(|t| (text(&t["address"]), t))
            .collect();
        let mut flows = 0;
        for entry in entries.iter().filter(|e| e["netns"] == initial["inum"]) {
            let (orig, reply) = (&entry["original"], &entry["reply"]);
            let from_lan = text(&orig["src"]).starts_with("192.168.1.");
            let masqueraded = from_lan && !text(&orig["dst"]).starts_with("192.168.1.");
            let to_server = text(&reply["src"]) == "192.168.1.10" && orig["dport"] == 80;
            let forwarded = to_server && orig["dst"] != reply["src"];
            if !masqueraded && !forwarded {
                continue;
            }
            flows += 1;
            let what = format!("{}: {}", dump.name, key(entry));
            let shown = shown
                .get(text(&entry["address"]))
                .unwrap_or_else(|| panic!("{what}"));
            if masqueraded {
                assert_eq!(shown["kind"], "MASQUERADE", "{what}");
                assert_eq!(shown["snat"]["to"]["address"], reply["dst"], "{what}");
                assert_eq!(shown["snat"]["from"]["address"], orig["src"], "{what}");
                assert!(shown["masquerade_ifindex"].as_u64() > Some(0), "{what}");
                // The interface to the outside, by the guest's script and by drgn.
                let device = if dump.name.starts_with("small") {
                    "wan"
                } else {
                    "vw"
                };
                assert_eq!(shown["masquerade_device"], device, "{what}");
            } else {
                assert_eq!(shown["kind"], "DNAT", "{what}");
                assert_eq!(shown["dnat"]["to"]["address"], "192.168.1.10", "{what}");
                assert_eq!(shown["dnat"]["to"]["port"], 80, "{what}");
            }
        }
        assert!(flows > 50, "{}: {flows} flows", dump.name);
        let used: u64 = nat["ports"]
            .as_array()
            .expect("ports")
            .iter()
            .map(|group| number(&group["used"]))
            .sum();
        assert!(used > 50, "{}", dump.name);
        // Of 1024 to 65535; these clients use no port below.
        for group in nat["ports"].as_array().expect("ports") {
            let left = 64_512 - number(&group["used"]);
            assert_eq!(number(&group["available"]), left, "{}: {group}", dump.name);
        }
        let (_, table, _) = run(&["nat", files[0], files[1]]);
        assert!(
            table.contains(" > 203.0.113.9:53"),
            "{}: {table}",
            dump.name
        );
    }
}

/// A filter chooses connections to show: what rules have left, and which are used, is as it is.
#[test]
fn what_is_left_of_ports_no_filter_changes() {
    for dump in dumps() {
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let nat = |more: &[&str]| {
            let args = [&["nat", "--format", "json", files[0], files[1]], more].concat();
            let (code, stdout, stderr) = run(&args);
            assert_eq!(code, 0, "{}: {stderr}", dump.name);
            serde_json::from_str::<Value>(&stdout).expect("JSON")
        };
        let (all, tcp) = (nat(&[]), nat(&["--proto", "tcp"]));
        let count = |of: &Value| of["translations"].as_array().map(Vec::len);
        assert!(count(&tcp) < count(&all), "{}", dump.name);
        assert_eq!(all["ports"], tcp["ports"], "{}", dump.name);
        assert_eq!(all["rules"], tcp["rules"], "{}", dump.name);
        // By hand: ports of the range that connections to that end took.
        let document = document(&dump);
        let entries = document["entries"].as_array().expect("entries");
        for rule in all["rules"].as_array().expect("rules") {
            let ports = &rule["ports"];
            if ports.is_null() {
                continue;
            }
            let took = entries.iter().filter(|entry| {
                let reply = &entry["reply"];
                let status = entry["status"].as_array().expect("status");
                entry["netns"] == rule["netns"]
                    && status.contains(&"SRC_NAT".into())
                    && entry["l4proto"] == ports["l4proto"]
                    && reply["dst"] == ports["external"]
                    && reply["src"] == ports["remote"]
                    && reply["sport"] == ports["remote_port"]
            });
            let took: BTreeMap<u64, ()> = took
                .map(|entry| (number(&entry["reply"]["dport"]), ()))
                .filter(|(port, ())| *port >= number(&ports["first"]))
                .collect();
            assert_eq!(number(&ports["used"]), took.len() as u64, "{ports}");
            let room = number(&ports["last"]) - number(&ports["first"]) + 1;
            assert_eq!(number(&ports["left"]), room - took.len() as u64, "{ports}");
        }
    }
}
