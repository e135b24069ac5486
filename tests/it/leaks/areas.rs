//! Areas of vmalloc in `leaks` on real dumps, held to what their guests lost on purpose.

use std::collections::HashSet;

use serde_json::Value;

use crate::leaks::real::leaks;
use crate::support::{real_dumps, run, small_dumps};

/// Areas that nothing points to and that no rule explains.
fn unexplained(document: &Value) -> u64 {
    let areas = &document["vmalloc"];
    let count = |key: &str| areas[key].as_u64().unwrap_or_else(|| panic!("{key}"));
    count("unreachable") - count("benign")
}

#[test]
fn the_lost_areas_are_those_that_the_guest_told() {
    for dump in real_dumps(&["6.1-vmalloc"]) {
        let what = &dump.name;
        let told = dump.captured("scenario.objects");
        let told: HashSet<&str> = told
            .lines()
            .filter_map(|line| line.strip_prefix("area "))
            .collect();
        assert_eq!(told.len(), 40, "{what}");
        let (code, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        assert_eq!(code, 0, "{what}");
        let areas = &document["vmalloc"];
        assert_eq!(areas["verdict"]["level"], "leak", "{what}: {areas}");
        let found: HashSet<&str> = areas["areas"]
            .as_array()
            .expect("areas")
            .iter()
            .map(|at| at.as_str().expect("an address"))
            .collect();
        assert_eq!(found, told, "{what}");
        let callers = areas["callers"].as_array().expect("callers");
        let of_module: Vec<&Value> = callers
            .iter()
            .filter(|caller| caller["module"] == "areas")
            .collect();
        assert_eq!(of_module.len(), 1, "{what}: {callers:?}");
        // Stale words lead into the middle of the others.
        let count = of_module[0]["areas"].as_u64().expect("a count");
        assert!(count >= 36, "{what}: {count}");
        assert_eq!(of_module[0]["bytes"], count * 3 * 4096, "{what}");
        assert_eq!(unexplained(&document), count, "{what}");
        assert_eq!(areas["owners"][0]["module"], "areas", "{what}");
        let findings = document["findings"].as_array().expect("findings");
        let codes: Vec<&Value> = findings.iter().map(|finding| &finding["code"]).collect();
        assert_eq!(codes, ["vmalloc"], "{what}");
        let (code, _, _) = run(&[
            "leaks",
            "--fail-on",
            "leak",
            dump.vmcore.to_str().expect("UTF-8"),
            dump.vmlinux.to_str().expect("UTF-8"),
        ]);
        assert_eq!(code, 1, "{what}");
    }
}

#[test]
fn no_area_is_lost_where_none_was() {
    let dumps = real_dumps(&[
        "5.10",
        "6.1",
        "6.12",
        "7.2",
        "6.1-none",
        "6.1-busy",
        "6.1-conntrack",
        "6.1-fzpu",
        "7.2-none",
        "7.2-busy",
        "7.2-slow",
    ]);
    let small = small_dumps(&["small-6.1-slab", "small-6.12-debug", "small-6.12-tiny"]);
    for dump in dumps.iter().chain(&small) {
        let (_, document) = leaks(&dump.vmcore, Some(&dump.vmlinux), &[]);
        let areas = &document["vmalloc"];
        assert_eq!(areas["verdict"]["level"], "clean", "{}: {areas}", dump.name);
        assert_eq!(unexplained(&document), 0, "{}: {areas}", dump.name);
        let lines = dump.captured("vmallocinfo");
        let with_pages = lines.lines().filter(|line| {
            // Pages of vmap() belong to others.
            line.contains("pages=") && line.contains(" vmalloc")
        });
        // Read a moment before: stacks come and go.
        let judged = areas["judged"].as_u64().expect("a count");
        let expected = with_pages.count() as u64;
        assert!(
            judged.abs_diff(expected) <= 10,
            "{}: {judged}, {expected}",
            dump.name
        );
    }
}
