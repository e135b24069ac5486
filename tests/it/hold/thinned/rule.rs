//! When an answer about a thinned dump is honest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Answer;

/// What tells of the file, and not of the machine.
const OF_THE_FILE: [&str; 3] = ["/dump/path", "/dump/format", "/coverage"];

/// What is wrong with `after`, where the whole dump gave `before`.
pub(super) fn faults(before: &Answer, after: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    if !matches!(after.code, 0 | 3 | 4) {
        faults.push(format!("exit {}", after.code));
    }
    let (Some(whole), Some(thin)) = (&before.document, &after.document) else {
        // Why it can't be answered has been said; that a kernel has none of it stays so.
        if before.document.is_some() != after.document.is_some() && after.code != 3 {
            faults.push(format!("no document, exit {}", after.code));
        }
        return faults;
    };
    let complete = thin["complete"] == true;
    if complete == (after.code == 4) {
        faults.push(format!("complete is {complete}, exit {}", after.code));
    }
    if complete {
        faults.extend(change(whole, thin, "").map(|at| format!("says it is complete, but {at}")));
    }
    faults.extend(more_unreachable(before, after));
    faults.extend(new_suspects(whole, thin));
    faults
}

/// What is a finding of the level `suspect` or `leak` in `thin`, and was not in `whole`: missing
/// memory makes nothing suspect.
fn new_suspects(whole: &Value, thin: &Value) -> Vec<String> {
    let subjects = |document: &Value| -> Vec<String> {
        let all = document["findings"].as_array().into_iter().flatten();
        let bad = all.filter(|one| matches!(one["level"].as_str(), Some("leak" | "suspect")));
        bad.map(|one| one["subject"].to_string()).collect()
    };
    let known = subjects(whole);
    let new = subjects(thin).into_iter();
    new.filter(|subject| !known.contains(subject))
        .map(|subject| format!("{subject} is suspect now"))
        .collect()
}

/// What is called a leak in `after` and not `before`.
pub(super) fn new_leaks(before: &Answer, after: &Answer) -> Vec<String> {
    let (Some(whole), Some(after)) = (&before.document, &after.document) else {
        return Vec::new();
    };
    let known = unreachable(whole);
    let was_leak = |subject: &String| known.get(subject).is_some_and(|(_, leak)| *leak);
    let found = unreachable(after).into_iter();
    let new = found.filter(|(subject, (_, leak))| *leak && !was_leak(subject));
    new.map(|(subject, (count, _))| format!("{subject}: {count} unreachable, called a leak"))
        .collect()
}

/// What is unreachable, or called a leak, in `after` and not `before`.
fn more_unreachable(before: &Answer, after: &Answer) -> Vec<String> {
    let (Some(whole), Some(after)) = (&before.document, &after.document) else {
        return Vec::new();
    };
    let (known, found) = (unreachable(whole), unreachable(after));
    let more = found.iter().filter(|(subject, (count, leak))| {
        let (before, was_leak) = known.get(*subject).copied().unwrap_or_default();
        *count > before || (*leak && !was_leak)
    });
    let told = |(subject, (count, leak)): (&String, &(u64, bool))| {
        let leak = if *leak { ", called a leak" } else { "" };
        format!("{subject}: {count} unreachable{leak}")
    };
    more.map(told).collect()
}

/// Of each cache, the areas and the blocks: how many nothing points to, as far as that is said,
/// and whether that is called a leak.
fn unreachable(document: &Value) -> BTreeMap<String, (u64, bool)> {
    let caches = document["caches"].as_array().into_iter().flatten();
    let of_cache = |cache: &Value| {
        let count = cache["unreachable"]["objects"].as_u64();
        let leak = cache["verdict"]["level"] == "leak";
        let name = cache["name"].as_str().unwrap_or_default().to_owned();
        (name, (count.unwrap_or(0), leak))
    };
    let others = ["vmalloc", "large_kmalloc"].map(|kind| {
        let of_kind = &document[kind];
        let count = of_kind["unreachable"].as_u64();
        let leak = of_kind["verdict"]["level"] == "leak";
        (kind.to_owned(), (count.unwrap_or(0), leak))
    });
    // Of `objects --unreachable`: there are none where the search can't be believed.
    let listed = document["matching"].as_u64();
    let listed = listed.filter(|_| document["chosen"] == "unreachable");
    let listed = ("those listed".to_owned(), (listed.unwrap_or(0), false));
    let all = caches.map(of_cache).chain(others).chain([listed]);
    all.collect()
}

/// The first place where two documents differ.
fn change(whole: &Value, thin: &Value, at: &str) -> Option<String> {
    if OF_THE_FILE.iter().any(|path| at.ends_with(path)) {
        return None;
    }
    match (whole, thin) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys());
            keys.into_iter().find_map(|key| {
                let (one, other) = (one.get(key), other.get(key));
                let none = &Value::Null;
                change(
                    one.unwrap_or(none),
                    other.unwrap_or(none),
                    &format!("{at}/{key}"),
                )
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let pairs = one.iter().zip(other).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (one, other))| change(one, other, &format!("{at}/{index}")))
        }
        (Value::Array(one), Value::Array(other)) => {
            Some(format!("{at} has {} of {} rows", other.len(), one.len()))
        }
        (one, other) => (one != other).then(|| format!("{at} is {other}, was {one}")),
    }
}
