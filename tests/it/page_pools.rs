//! Page pools of scripts/guest/pools.c, by all who tell of them.

use serde_json::Value;

use crate::support::{RealDump, json, number, printed, real_dumps};

/// Those whose pages say whose they are.
const MARKED: [&str; 2] = ["6.1-pools", "7.2-pools"];
const ALL: [&str; 3] = ["5.10-pools", "6.1-pools", "7.2-pools"];

fn pools(document: &Value) -> &Vec<Value> {
    document["page_pools"].as_array().expect("pools")
}

/// What counters say, and what lies in memory.
fn figures(pool: &Value) -> [Option<u64>; 5] {
    ["in_flight", "cached", "ring", "found", "order"].map(|name| pool[name].as_u64())
}

/// How many addresses of a kind the module wrote down.
fn made(dump: &RealDump, kind: &str) -> u64 {
    let text = dump.captured("scenario.objects");
    let of_kind = |line: &&str| line.split(' ').next() == Some(kind);
    text.lines().filter(of_kind).count() as u64
}

#[test]
fn counters_and_pages_of_each_pool() {
    for dump in real_dumps(&MARKED) {
        let what = &dump.name;
        let document = json(&printed(&dump, "net", &["--format", "json"]));
        let own = pools(&document).iter().filter(|pool| pool["cpu"].is_null());
        let mut found: Vec<_> = own.clone().map(figures).collect();
        found.sort_unstable();
        // What is given in one go: 64 at a time, of which the rest is in the cache.
        let live = [Some(256), Some(36), Some(20), Some(256), Some(0)];
        let blocks = [Some(20), Some(0), Some(0), Some(20), Some(2)];
        let closing = [Some(300), Some(0), Some(0), Some(300), Some(0)];
        assert_eq!(found, [blocks, live, closing], "{what}");
        let out = made(&dump, "known") + made(&dump, "lost");
        assert_eq!(out, 300, "{what}");
        let destroyed: Vec<_> = own.filter(|pool| pool["destroyed"] == true).collect();
        let [closing] = &destroyed[..] else {
            panic!("{what}: {destroyed:?}");
        };
        let seconds = closing["destroyed_seconds"].as_f64().expect("seconds");
        assert!((1.0..300.0).contains(&seconds), "{what}: {seconds}");
        assert_eq!(closing["found_bytes"], 300 << 12, "{what}");
    }
}

/// Pages of 5.10 do not say whose they are: the pool in use is known to XDP, the other by its timer.
#[test]
fn pools_that_no_page_names() {
    for dump in real_dumps(&ALL[..1]) {
        let document = json(&printed(&dump, "net", &["--format", "json"]));
        let mut found: Vec<_> = pools(&document).iter().map(figures).collect();
        found.sort_unstable();
        let live = [Some(240), Some(0), Some(40), None, Some(0)];
        let closing = [Some(300), Some(0), Some(0), None, Some(0)];
        assert_eq!(found, [live, closing], "{}", dump.name);
        let destroyed = pools(&document)
            .iter()
            .filter(|pool| pool["destroyed"] == true);
        assert_eq!(destroyed.count(), 1, "{}", dump.name);
    }
}

#[test]
fn a_napi_with_packets_in_its_lists() {
    for dump in real_dumps(&ALL) {
        let what = &dump.name;
        let document = json(&printed(&dump, "net", &["--format", "json"]));
        let devices = document["namespaces"][0]["devices"].as_array();
        let mut devices = devices.expect("devices").iter();
        let device = devices.find(|one| one["name"] == "pools0").expect("it");
        let [napi] = &device["napi"].as_array().expect("a list")[..] else {
            panic!("{what}: {}", device["napi"]);
        };
        assert_eq!(number(&napi["weight"]), 64, "{what}");
        assert!(number(&napi["id"]) > 8192, "{what}");
        assert_eq!(napi["states"].as_array().map(Vec::len), Some(1), "{what}");
        assert_eq!(napi["states"][0], "listed", "{what}");
        let gro = napi["gro"].as_array().expect("lists").iter().map(number);
        assert_eq!(gro.sum::<u64>(), made(&dump, "gro"), "{what}");
        assert_eq!(number(&napi["rx_packets"]), made(&dump, "passed"), "{what}");
        let poll = napi["poll_function"].as_str().expect("a name");
        assert!(poll.starts_with("pools_poll+0x0/"), "{what}: {poll}");
    }
}

#[test]
fn packets_of_a_napi_are_on_a_queue() {
    for dump in real_dumps(&ALL) {
        let what = &dump.name;
        let document = json(&printed(&dump, "sockets", &["--skbs", "--format", "json"]));
        assert_eq!(document["nowhere_objects"], 0, "{what}");
        let places = document["places"].as_array().expect("places");
        for (name, kind) in [
            ("napi, for more of the flow", "gro"),
            ("napi, to the stack", "passed"),
        ] {
            let place = places.iter().find(|place| place["place"] == name);
            let skbs = place.map_or(0, |place| number(&place["skbs"]));
            assert_eq!(skbs, made(&dump, kind), "{what}: {name}");
        }
    }
}

/// What something holds is the pool's; what nothing points to is lost, and was the pool's.
#[test]
fn pages_are_owned_or_lost_as_planted() {
    for dump in real_dumps(&MARKED) {
        let what = &dump.name;
        let document = json(&printed(&dump, "pages", &["--format", "json"]));
        let owned = document["owned"].as_array().expect("owners");
        let of = |name: &str| {
            let is_it = |one: &&Value| one["kind"] == "page_pool" && one["name"] == name;
            owned
                .iter()
                .find(is_it)
                .map_or(0, |one| number(&one["pages"]))
        };
        // 256 of one, and 20 blocks of four pages.
        assert_eq!(of("pools0"), 256 + 4 * made(&dump, "block"), "{what}");
        assert_eq!(of("pools0, destroyed"), made(&dump, "known"), "{what}");
        let lost = pools(&document).iter().map(|pool| number(&pool["lost"]));
        assert_eq!(lost.sum::<u64>(), made(&dump, "lost"), "{what}");
        assert!(number(&document["lost"]["pages"]) >= 240, "{what}");
    }
}

#[test]
fn a_pool_that_can_not_end_is_suspect() {
    for dump in real_dumps(&MARKED) {
        let what = &dump.name;
        let document = json(&printed(&dump, "leaks", &["--format", "json"]));
        let findings = document["findings"].as_array().expect("findings");
        let stalled: Vec<_> = findings
            .iter()
            .filter(|one| one["code"] == "page-pool-stalled")
            .collect();
        let [finding] = &stalled[..] else {
            panic!("{what}: {findings:?}");
        };
        assert_eq!(finding["level"], "suspect", "{what}");
        assert_eq!(finding["subject"], "page pool pools0", "{what}");
        assert_eq!(
            (&finding["objects"], &finding["bytes"]),
            (&300.into(), &(300 << 12).into())
        );
        let message = finding["message"].as_str().expect("text");
        assert!(
            message.ends_with("nothing points to 240 of them"),
            "{what}: {message}"
        );
    }
}
