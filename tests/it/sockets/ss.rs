//! `sockets --format ss` against what ss printed in the guests.

use std::collections::BTreeSet;

use super::GUESTS;
use crate::support::{printed, real_dumps};

/// What passes by itself, by time alone; and what the kernel's own tables do not tell: the parts of
/// MPTCP, of which there are two, and what busy time there was.
const PASSING: [&str; 13] = [
    "timer:",
    "lastsnd:",
    "lastrcv:",
    "lastack:",
    "busy:",
    "rwnd_limited:",
    "sndbuf_limited:",
    "tcp-ulp-mptcp",
    "flags:",
    "token:",
    "seq:",
    "sfseq:",
    "ssnoff:",
];

fn words(line: &str) -> Vec<&str> {
    let all = line.split_whitespace();
    let stays = |word: &&str| {
        !PASSING.iter().any(|one| word.starts_with(one)) && !word.starts_with("maplen:")
    };
    all.filter(stays).collect()
}

/// A socket a line where ss takes two.
#[test]
fn sockets_are_as_ss_printed_them() {
    for dump in real_dumps(&GUESTS) {
        let args = ["--format", "ss", "--kind", "tcp", "--netns", "initial"];
        let text = printed(&dump, "sockets", &args);
        let ours: BTreeSet<Vec<&str>> =
            text.lines().map(|line| words(line)[1..].to_vec()).collect();
        let theirs = dump.captured("ss_tanpmioe");
        let theirs = theirs.replace("\n\t", " ");
        let mut moved = Vec::new();
        let mut seen = 0;
        for line in theirs.lines().skip(1) {
            seen += 1;
            if !ours.contains(&words(line)) {
                moved.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        // Those that were sent again in between, by timers that ran out.
        let idle: Vec<&String> = moved
            .iter()
            .filter(|line| !line.contains("timer:(on,"))
            .collect();
        assert!(idle.is_empty(), "{}: {idle:#?}", dump.name);
        assert!(
            seen > 100 && moved.len() * 10 < seen,
            "{}: {moved:#?}",
            dump.name
        );
    }
}

/// Whether `line` has all of `words`, in their order.
fn has_in_order(line: &str, words: &[&str]) -> bool {
    let mut all = line.split_whitespace();
    words.iter().all(|word| all.any(|one| one == *word))
}

/// Other families: each line that ss printed is in ours, but for what only the guest's files tell
/// and for the sockets that ss itself had open.
#[test]
fn sockets_of_other_families_are_as_ss_printed_them() {
    let left_out = [
        "ino:",
        "dev:",
        "ver:",
        "cpy_thresh:",
        "flags(",
        "running",
        ")",
        "ring_rx(",
    ];
    for dump in real_dumps(&GUESTS) {
        let text = printed(&dump, "sockets", &["--format", "ss", "--netns", "initial"]);
        for (file, least) in [
            ("ss_xanpme", 15),
            ("ss_wanpme", 2),
            ("ss_0anpme", 2),
            ("ss_netlink", 5),
        ] {
            let theirs = dump.captured(file).replace("\n\t", " ");
            // ss looks up who waits to be accepted, as the kernel tells it of each listener.
            let theirs = theirs.lines().skip(1);
            let theirs = theirs.map(|line| line.split(" peers:").next().unwrap_or(line));
            let own = |line: &&str| file != "ss_netlink" || !line.contains(" 4:");
            let lines: Vec<&str> = theirs.filter(own).collect();
            assert!(lines.len() >= least, "{} {file}", dump.name);
            for line in lines {
                let words: Vec<&str> = line
                    .split_whitespace()
                    .filter(|word| !left_out.iter().any(|one| word.starts_with(one)))
                    .collect();
                assert!(
                    text.lines().any(|ours| has_in_order(ours, &words)),
                    "{} {file}: {line}",
                    dump.name
                );
            }
        }
    }
}
