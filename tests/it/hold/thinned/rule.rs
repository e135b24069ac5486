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
    if reliable(thin) {
        let (known, found) = (unreachable(whole), unreachable(thin));
        let more = |(cache, verdict): &(&String, &(u64, bool))| {
            let (count, leak) = known.get(*cache).copied().unwrap_or_default();
            verdict.0 > count || (verdict.1 && !leak)
        };
        for (cache, (count, leak)) in found.iter().filter(more) {
            faults.push(format!("calls itself reliable: {cache} {count} {leak}"));
        }
    }
    faults
}

fn reliable(document: &Value) -> bool {
    document["trust"]["reliable"] == true
}

/// Per cache: unreachable objects, and whether it is called a leak.
fn unreachable(document: &Value) -> BTreeMap<String, (u64, bool)> {
    let caches = document["caches"].as_array().into_iter().flatten();
    let row = |cache: &Value| {
        let count = cache["verdict"]["unreachable"]["objects"].as_u64();
        let leak = cache["verdict"]["level"] == "leak";
        let name = cache["name"].as_str().unwrap_or_default().to_owned();
        (name, (count.unwrap_or(0), leak))
    };
    caches.map(row).collect()
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
