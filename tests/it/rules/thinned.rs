//! Of a dump that lacks pages, a rule is as it was, or marked; a counter is as it was, or not told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{guest, rows};
use crate::hold::thinned::kdump::Whole;
use crate::support::{dump_named, run, skip};

/// Times that the dump is thinned, each by another part of its pages.
const TIMES: u64 = 8;

fn rules(vmcore: &Path) -> Option<Value> {
    let path = vmcore.to_str().expect("UTF-8");
    let args = [
        "rules",
        "--no-default-debug-directories",
        "--format",
        "json",
        path,
    ];
    let (_, stdout, _) = run(&args);
    serde_json::from_str(&stdout).ok()
}

/// By place: the expressions of rules of nf_tables and the parts of those of x_tables, and the
/// counters of these.
type Rules = (BTreeMap<String, Value>, BTreeMap<String, Value>);

fn by_place(document: &Value) -> Rules {
    let (mut exprs, mut counters) = Rules::default();
    for namespace in rows(document, "namespaces") {
        for table in rows(namespace, "nf_tables") {
            for chain in rows(table, "chains") {
                for rule in rows(chain, "rules").filter(|rule| rule["cut"] == false) {
                    let place = format!(
                        "{} {} {}",
                        namespace["netns"], table["name"], rule["handle"]
                    );
                    exprs.insert(place, rule["exprs"].clone());
                }
            }
        }
        for table in rows(namespace, "x_tables").filter(|table| table["complete"] == true) {
            for chain in rows(table, "chains") {
                for (number, rule) in rows(chain, "rules").enumerate() {
                    let place = format!(
                        "{} {} {} {} {number}",
                        namespace["netns"], table["family"], table["name"], chain["name"]
                    );
                    let parts = ["header", "matches", "watchers", "target"];
                    let parts = parts.map(|part| rule[part].clone());
                    exprs.insert(place.clone(), Value::from(parts.to_vec()));
                    counters.insert(place, rule["packets"].clone());
                }
            }
        }
    }
    (exprs, counters)
}

/// Whether an expression is what it was, or says that it is not known.
fn is_honest(before: &Value, after: &Value) -> bool {
    before == after || after["expr"] == "unknown" || after.to_string().contains("\"?0x")
}

#[test]
fn what_is_missing_changes_no_rule_and_no_counter_unsaid() {
    if let Some((vmcore, _)) = guest() {
        thinned(&vmcore);
    }
    // With rules of bridges.
    match dump_named("debian-6.1-rules") {
        Some(vmcore) => thinned(&vmcore),
        None => skip("debian-6.1-rules: no such dump (VMLEAK_DUMPS)"),
    }
}

fn thinned(vmcore: &Path) {
    let (exprs, counters) = by_place(&rules(vmcore).expect("the whole dump has rules"));
    assert!(
        exprs.len() > 80 && counters.len() > 40,
        "{} {}",
        exprs.len(),
        counters.len()
    );
    let whole = Whole::read(vmcore);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vmcore");
    let mut told = 0;
    for time in 0..TIMES {
        let part = whole
            .pages
            .iter()
            .filter(|pfn| (**pfn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52 == time);
        whole.write_without(&part.copied().collect::<BTreeSet<u64>>(), &path);
        let Some(document) = rules(&path) else {
            continue;
        };
        let (thin, thin_counters) = by_place(&document);
        for (place, after) in &thin {
            let before = exprs.get(place).unwrap_or_else(|| panic!("{place} is new"));
            let (before, after) = (before.as_array(), after.as_array());
            let (before, after) = before.zip(after).expect("arrays");
            assert_eq!(before.len(), after.len(), "{time}, {place}");
            let mut pairs = before.iter().zip(after);
            let wrong = pairs.find(|(before, after)| !is_honest(before, after));
            assert!(wrong.is_none(), "{time}, {place}: {wrong:?}");
        }
        for (place, after) in &thin_counters {
            let before = counters.get(place);
            assert!(
                after.is_null() || before == Some(after),
                "{time}, {place}: {after}, {before:?}"
            );
        }
        told += thin.len() + thin_counters.len();
    }
    assert!(told > 100, "hardly a rule is left: {told}");
}
