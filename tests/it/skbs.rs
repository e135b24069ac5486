//! `sockets --skbs` on guests with planted queues.

use crate::support::{RealDump, json, number, real_dumps, run};

/// Every buffer of the guest is on a queue: those of 5.10, whose netem has no types in the dump,
/// by the module's debug file alone.
#[test]
fn every_buffer_is_somewhere() {
    for dump in real_dumps(&["6.1-sockets", "7.2-sockets"]) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let args = [
            "sockets", "--skbs", "--types", "btf", "--format", "json", vmcore,
        ];
        let (code, text, stderr) = run(&args);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        let document = json(&text);
        let nowhere = &document["nowhere"];
        assert_eq!(document["nowhere_objects"], 0, "{}: {nowhere}", dump.name);
        let places = document["places"].as_array().expect("places").iter();
        let in_place = |name: &str| {
            let mut places = places.clone().filter(|place| place["place"] == name);
            places.next().map_or(0, |place| number(&place["skbs"]))
        };
        // scripts/guest/network.sh: 300 datagrams that netem keeps, and what tc said of the others.
        assert_eq!(in_place("qdisc netem"), 300, "{}", dump.name);
        assert_eq!(
            in_place("qdisc bfifo"),
            backlog(&dump, "tbf"),
            "{}",
            dump.name
        );
        assert!(in_place("sockets, receive") > 2000, "{}", dump.name);
        assert!(number(&document["objects"]) > 3000, "{}", dump.name);
    }
}

/// Packets on a queue by `tc -s qdisc`.
fn backlog(dump: &RealDump, kind: &str) -> u64 {
    let text = dump.captured("tc_qdisc");
    let mut lines = text.lines();
    let is_it = |line: &&str| line.starts_with(&format!("qdisc {kind} "));
    lines.find(is_it).expect("such a queue");
    let line = lines
        .find(|line| line.contains("backlog"))
        .expect("its backlog");
    let packets = line.split_whitespace().nth(2).expect("packets");
    packets.trim_end_matches('p').parse().expect("a number")
}
