//! How texts look: on a terminal of any width no word is broken and no row takes more than two
//! lines.

use std::collections::HashSet;
use std::process::Command;

use crate::support::{RealDump, real_dumps, small_dump};

/// Every command that lays a text out, with what it needs besides the dump.
const COMMANDS: [&[&str]; 37] = [
    &["info"],
    &["slabs"],
    &["slabs", "--all"],
    &["slabs", "--cache", "leaky_session"],
    &["leaks"],
    &["leaks", "--all"],
    &["objects", "leaky_session"],
    &["objects", "leaky_session", "--unreachable", "--limit", "3"],
    &["objects", "leaky_session", "--hexdump", "--limit", "3"],
    &["conntrack"],
    &["conntrack", "--summary"],
    &["conntrack", "--expect"],
    &["conntrack", "--stats"],
    &["nat"],
    &["meminfo"],
    &["vmalloc"],
    &["ps", "--all"],
    &["zones"],
    &["files"],
    &["dentries"],
    &["sockets"],
    &["sockets", "--skbs"],
    &["net"],
    &["rules"],
    &["pages"],
    &["bpf"],
    &["kmemleak"],
    &["allocinfo"],
    &["memcg"],
    &["pageowner"],
    &["log", "--oom"],
    &["modules"],
    &["sysctl", "--check"],
    &["sysctl", "--check", "--netns", "all"],
    &["whatis", "0xffff999dcca6b000"],
    &["whatis", "0xffff999dcca6b000", "--path"],
    &["retained"],
];

/// Those that are paragraphs more than tables.
const PROSE: [&str; 2] = ["leaks", "whatis"];

/// What a command prints on a terminal of so many columns, or where there is none.
fn text(dump: &RealDump, command: &[&str], columns: Option<usize>) -> String {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let mut run = Command::new(env!("CARGO_BIN_EXE_vmleak"));
    run.args(command)
        .args(files)
        .arg("--quiet")
        .env_remove("COLUMNS");
    if let Some(columns) = columns {
        run.env("COLUMNS", columns.to_string());
    }
    let output = run.output().expect("vmleak starts");
    String::from_utf8(output.stdout).expect("text")
}

fn check(dump: &RealDump, command: &[&str]) {
    let whole = text(dump, command, None);
    let words: HashSet<&str> = whole.split_whitespace().collect();
    let blank = |text: &str| text.lines().filter(|line| line.trim().is_empty()).count();
    for columns in [80, 100, 140] {
        let what = format!("{} {command:?} at {columns}", dump.name);
        let fitted = text(dump, command, Some(columns));
        assert_eq!(blank(&fitted), blank(&whole), "{what}: {fitted}");
        for line in fitted.lines() {
            // A word that is longer than a line is whole, on a line of its own.
            let fits = line.chars().count() <= columns || line.split_whitespace().count() == 1;
            assert!(fits, "{what}: {line}");
            for word in line.split_whitespace() {
                assert!(
                    words.contains(word) || word.ends_with('…'),
                    "{what}: {word} in {line}"
                );
            }
        }
        // A row is a line where there is room for all of it: here it takes two at most.
        if !PROSE.contains(&command[0]) {
            let (lines, rows) = (fitted.lines().count(), whole.lines().count());
            let head = 4;
            assert!(lines <= 2 * rows + head, "{what}: {lines} lines of {rows}");
        }
    }
}

#[test]
fn no_word_is_broken_at_any_width() {
    let dump = small_dump();
    for command in COMMANDS {
        check(&dump, command);
    }
}

#[test]
fn no_word_is_broken_on_real_dumps() {
    for dump in real_dumps(&["5.10", "6.1", "7.2"]) {
        for command in [
            &["slabs"][..],
            &["leaks"],
            &["nat"],
            &["vmalloc"],
            &["ps"],
            &["zones"],
            &["files"],
            &["dentries"],
            &["modules"],
            &["memcg"],
            &["sysctl", "--check"],
            &["conntrack", "--summary"],
        ] {
            check(&dump, command);
        }
    }
}
