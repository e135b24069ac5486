//! Tables of bridges against what `ebtables-legacy-save` printed in the guests of the scenario
//! `rules` of scripts/make-dump: the kernels that keep lists of tables in namespaces, and later ones.

use serde_json::Value;

use super::rows;
use crate::support::{RealDump, json, printed, real_dumps};

fn guests() -> Vec<RealDump> {
    real_dumps(&["5.10-rules", "6.1-rules", "6.12-rules"])
}

/// Without when it was printed.
fn captured(dump: &RealDump, name: &str) -> Vec<String> {
    let lines = dump.captured(name);
    lines
        .lines()
        .filter(|line| !line.starts_with("# Generated"))
        .map(str::to_owned)
        .collect()
}

fn document(dump: &RealDump) -> Value {
    json(&printed(dump, "rules", &["--format", "json"]))
}

/// Those of the initial namespace, and those of the other one whose tables have rules.
fn namespaces(document: &Value) -> [&Value; 2] {
    let own = |one: &&Value| {
        rows(one, "x_tables")
            .filter(|table| table["family"] == "bridge")
            .flat_map(|table| rows(table, "chains"))
            .any(|chain| !chain["rules"].as_array().is_none_or(Vec::is_empty))
    };
    let find = |initial: bool| {
        rows(document, "namespaces")
            .filter(own)
            .find(|one| one["initial"] == initial)
            .expect("a namespace")
    };
    [find(true), find(false)]
}

#[test]
fn tables_are_what_ebtables_saved() {
    for dump in guests() {
        let document = document(&dump);
        let [_, lan] = namespaces(&document);
        let lan = lan["netns"].to_string();
        for (netns, capture, least) in [
            ("initial", "ebtables-legacy-save", 96),
            (&lan, "ebtables-legacy-save.lan", 15),
        ] {
            let args = ["--format", "ebtables-save", "--netns", netns];
            let text = printed(&dump, "rules", &args);
            let ours: Vec<&str> = text.lines().collect();
            assert_eq!(ours, captured(&dump, capture), "{}: {netns}", dump.name);
            assert!(ours.len() >= least, "{}: {} lines", dump.name, ours.len());
        }
    }
}

/// What ebtables told of counters, in its own form: glued to the name of a chain.
fn counters(line: &str) -> Option<(u64, u64)> {
    let rule = line.strip_prefix("-A ")?;
    let (_, both) = rule.rsplit_once("-c ")?;
    let (packets, bytes) = both.split_once(' ')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}

#[test]
fn counters_of_all_cpus_are_summed_up() {
    for dump in guests() {
        let document = document(&dump);
        let captures = ["ebtables-legacy-save-c.again", "ebtables-legacy-save-c.lan"];
        for (namespace, capture) in namespaces(&document).into_iter().zip(captures) {
            let ours: Vec<(u64, u64)> = rows(namespace, "x_tables")
                .filter(|table| table["family"] == "bridge")
                .flat_map(|table| rows(table, "chains"))
                .flat_map(|chain| rows(chain, "rules"))
                .map(|rule| (rule["packets"].as_u64(), rule["bytes"].as_u64()))
                .map(|(packets, bytes)| packets.zip(bytes).expect("counted"))
                .collect();
            let theirs: Vec<(u64, u64)> = captured(&dump, capture)
                .iter()
                .filter_map(|line| counters(line))
                .collect();
            assert_eq!(ours, theirs, "{}: {capture}", dump.name);
        }
    }
}

/// A kernel whose only ebtables are those of nf_tables has no such tables, and says nothing of them.
#[test]
fn a_kernel_without_them_has_none() {
    for dump in real_dumps(&["7.2-rules"]) {
        let document = document(&dump);
        let filters: Vec<&str> = rows(&document, "filters")
            .filter_map(Value::as_str)
            .collect();
        assert!(!filters.contains(&"ebtables"), "{filters:?}");
        assert_eq!(
            printed(&dump, "rules", &["--format", "ebtables-save"]),
            "",
            "{}",
            dump.name
        );
    }
}

/// The filter of arptables that a kernel makes when its module is loaded, read to its end.
#[test]
fn the_first_table_of_arptables_is_whole() {
    for dump in real_dumps(&["5.10-rules"]) {
        let text = printed(&dump, "rules", &["--format", "arptables-save"]);
        let chains: Vec<&str> = text.lines().map(|line| line.trim_end()).collect();
        assert_eq!(chains.first(), Some(&"*filter"), "{text}");
        assert_eq!(chains.last(), Some(&"COMMIT"), "{text}");
        assert!(text.contains(":INPUT ACCEPT [") && text.contains(":OUTPUT ACCEPT ["));
        assert!(!text.contains("missing"), "{text}");
    }
}
