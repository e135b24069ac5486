//! Tables that iptables-nft made against what `iptables-nft-save` and `ip6tables-nft-save` printed
//! in the guests of the scenario `rules` of scripts/make-dump, line by line.

use crate::support::{RealDump, files, real_dumps, run};

/// Without when it was printed.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

fn printed(dump: &RealDump, format: &str) -> String {
    let args = [&["rules", "--format", format], &files(dump)[..]].concat();
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

#[track_caller]
fn same(dump: &RealDump, format: &str, capture: &str, least: usize) {
    let (ours, theirs) = (printed(dump, format), dump.captured(capture));
    let (ours, theirs) = (lines(&ours), lines(&theirs));
    for (number, (one, other)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(one, other, "{}: {format}, line {}", dump.name, number + 1);
    }
    assert_eq!(ours.len(), theirs.len(), "{}: {format}", dump.name);
    assert!(ours.len() >= least, "{}: {} lines", dump.name, ours.len());
}

#[test]
fn tables_are_what_iptables_nft_saved() {
    for dump in real_dumps(&["5.10-rules", "6.1-rules", "6.12-rules", "7.2-rules"]) {
        // Printed last of all: packets were counted while the others were.
        let last = "iptables-nft-save.again";
        same(&dump, "iptables-nft-save", last, 217);
        same(&dump, "ip6tables-nft-save", "ip6tables-nft-save", 79);
    }
}
