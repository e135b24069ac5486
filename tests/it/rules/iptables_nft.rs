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

/// Whoever reads them reads iptables; what nft has no words for it names, as nft itself does.
#[test]
fn for_people_they_are_as_iptables_made_them() {
    for dump in real_dumps(&["5.10-rules", "6.1-rules", "6.12-rules", "7.2-rules"]) {
        let table = printed(&dump, "table");
        let saved = dump.captured("iptables-nft-save.again");
        for line in saved.lines().filter(|line| line.starts_with('[')) {
            assert!(
                table.lines().any(|ours| ours == line),
                "{}: {line}",
                dump.name
            );
        }
        let (ours, theirs) = (printed(&dump, "nft"), dump.captured("nft.a"));
        // Of others it has the words that their modules make.
        let named = |line: &&str| {
            let verdict = line.contains(" accept #") || line.contains(" drop #");
            line.trim_start().starts_with("xt match") && verdict
        };
        let mut named = theirs.lines().filter(named).peekable();
        assert!(named.peek().is_some(), "{}", dump.name);
        for line in named {
            assert!(
                ours.lines().any(|ours| ours == line),
                "{}: {line}",
                dump.name
            );
        }
        assert!(!ours.contains("no shorter form: [ match"), "{}", dump.name);
    }
}

/// A form that shows one of the two filters says that there is the other.
#[test]
fn rules_of_the_other_filter_are_said() {
    for dump in real_dumps(&["6.1-rules"]) {
        let args = [&["rules", "--format", "arptables-save"], &files(&dump)[..]].concat();
        let (code, stdout, stderr) = run(&args);
        assert_eq!((code, &*stdout), (0, ""));
        assert!(
            stderr.contains("of arp there are rules of nf_tables"),
            "{stderr}"
        );
    }
}
