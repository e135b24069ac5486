//! `ps` against what drgn read of the same dumps, and what the kernel counts of itself.

use serde_json::Value;

use crate::support::{json, number, printed, real_dumps};

fn sum(document: &Value, key: &str) -> u64 {
    let all = document["processes"].as_array().expect("processes").iter();
    all.filter_map(|process| process[key].as_u64()).sum()
}

/// `nr_threads`, which /proc/loadavg shows, is counted where threads are made and end.
#[test]
fn every_thread_is_some_processs() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = json(&printed(&dump, "ps", &["--format", "json"]));
        assert_eq!(
            sum(&document, "threads"),
            number(&document["dump"]["tasks"]),
            "{}",
            dump.name
        );
    }
}

/// Tables of page tables below the topmost, as drgn summed up `mm->pgtables_bytes` of all
/// processes and as a walk through them found them.
#[test]
fn page_tables_are_those_that_a_walk_finds() {
    for (name, pages) in [("5.10", 55), ("6.12", 77), ("7.2", 77)] {
        for dump in real_dumps(&[name]) {
            let document = json(&printed(&dump, "ps", &["--format", "json"]));
            let bytes = number(&document["totals"]["page_table_bytes"]);
            assert_eq!(bytes, pages << 12, "{}", dump.name);
        }
    }
}

/// Shared by forks, a page counts for each: never less than the kernel's own count of them.
#[test]
fn anonymous_memory_is_at_least_what_the_kernel_counts() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = json(&printed(&dump, "ps", &["--format", "json"]));
        let meminfo = json(&printed(
            &dump,
            "meminfo",
            &["--format", "json", "--precise"],
        ));
        let lines = meminfo["meminfo"].as_array().expect("lines").iter();
        let anon = lines
            .clone()
            .find(|line| line["name"] == "AnonPages")
            .expect("a line");
        let kib = number(&anon["value"]);
        let found = number(&document["totals"]["rss_anon_bytes"]);
        assert!(
            found >= kib << 10 && found < (kib << 10) * 8,
            "{}: {found} {kib}",
            dump.name
        );
    }
}

#[test]
fn the_one_that_panicked_is_marked() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2"]) {
        let document = json(&printed(&dump, "ps", &["--format", "json"]));
        let all = document["processes"].as_array().expect("processes").iter();
        let marked: Vec<&Value> = all.filter(|process| process["panicked"] == true).collect();
        let [one] = marked.as_slice() else {
            panic!("{}: {marked:?}", dump.name);
        };
        // The guests' scripts are the first process.
        assert_eq!(
            (&one["pid"], &one["comm"], &one["state"]),
            (&1.into(), &"init".into(), &"R".into())
        );
    }
}
