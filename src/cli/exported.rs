//! Rows that `export` wrote, read back for `diff`: a folder of tables, or one file of JSON Lines.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value};
use vmleak::analysis::growth::{Counts, View};
use vmleak::analysis::series::{FoundThen, State, StateIdentity};
use vmleak::render::export::read_parquet;

/// What each row begins with.
const MARK: &str = "{\"dump_id\":";
/// Tables that are compared.
const TABLES: [&str; 6] = [
    "caches",
    "findings",
    "ledger",
    "sysctls",
    "connections",
    "dumps",
];

fn file_of(folder: &Path, table: &str) -> Option<PathBuf> {
    let named = ["jsonl", "parquet"].map(|form| folder.join(format!("{table}.{form}")));
    named.into_iter().find(|path| path.is_file())
}

/// Whether these are rows.
pub(super) fn is_rows(path: &Path) -> bool {
    if path.is_dir() {
        return TABLES.iter().any(|table| file_of(path, table).is_some());
    }
    let mut start = vec![0; MARK.len()];
    let file = fs::File::open(path);
    file.and_then(|mut file| file.read_exact(&mut start))
        .is_ok()
        && start == MARK.as_bytes()
}

type Row = Map<String, Value>;

fn rows(path: &Path) -> Result<Vec<Row>> {
    if path.extension().is_some_and(|form| form == "parquet") {
        return read_parquet(path).with_context(|| path.display().to_string());
    }
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = (1..).zip(text.lines());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| {
                let path = path.display();
                format!("{path}: line {number} is no row that vmleak export writes")
            })
        })
        .collect()
}

/// A state for each dump of which there are rows.
pub(super) fn states(path: &Path, view: View) -> Result<Vec<State>> {
    let mut states: BTreeMap<String, State> = BTreeMap::new();
    let files: Vec<PathBuf> = match path.is_dir() {
        true => TABLES
            .iter()
            .filter_map(|table| file_of(path, table))
            .collect(),
        false => vec![path.to_owned()],
    };
    for file in files {
        for row in rows(&file)? {
            let id = text(&row, "dump_id").unwrap_or_default();
            let state = states.entry(id).or_insert_with(|| State {
                identity: identity(path, &row),
                ..State::default()
            });
            add(state, &row, view);
        }
    }
    Ok(states.into_values().collect())
}

fn text(row: &Row, name: &str) -> Option<String> {
    Some(row.get(name)?.as_str()?.to_owned())
}

fn number(row: &Row, name: &str) -> u64 {
    row.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn identity(path: &Path, row: &Row) -> StateIdentity {
    let time = text(row, "crash_time").and_then(|time| time.parse::<jiff::Timestamp>().ok());
    StateIdentity {
        path: path.display().to_string(),
        kind: "export",
        host: text(row, "host"),
        release: text(row, "release"),
        time: time.map(|time| time.as_second()),
        boot_time: None,
    }
}

/// Which table a row is of, its columns tell.
fn add(state: &mut State, row: &Row, view: View) {
    if let Some(name) = text(row, "name").filter(|_| row.contains_key("active_objs")) {
        let (objects, room, slabs) = match view {
            View::Exact => ("allocated", "objects", "slabs"),
            View::Slabinfo => ("active_objs", "num_objs", "num_slabs"),
        };
        let counts = Counts {
            objects: number(row, objects),
            room: number(row, room),
            slabs: number(row, slabs),
            bytes: number(row, "bytes"),
        };
        let aliases = text(row, "aliases").filter(|aliases| !aliases.is_empty());
        if let Some(aliases) = aliases {
            let others = aliases.split(',').map(str::to_owned);
            let names = std::iter::once(name.clone()).chain(others);
            state.merged.push(names.collect());
        }
        state.caches.get_or_insert_default().push((name, counts));
    } else if let Some(print) =
        text(row, "fingerprint").filter(|_| row.contains_key("evidence_for"))
    {
        let found = FoundThen {
            subject: text(row, "subject").unwrap_or_default(),
            level: text(row, "level").unwrap_or_default(),
            bytes: number(row, "bytes"),
        };
        state.add_finding(print, found);
    } else if row.contains_key("pages") {
        if let Some(kind) =
            text(row, "kind").filter(|_| text(row, "how").as_deref() == Some("line"))
        {
            let ledger = state.ledger.get_or_insert_default();
            ledger.insert(kind.clone(), number(row, "bytes"));
            let title = text(row, "about").map(|title| (kind, title));
            state.ledger_titles.extend(title);
        }
    } else if let Some(name) = text(row, "name").filter(|_| row.contains_key("handler")) {
        let netns = row.get("netns").and_then(Value::as_u64);
        // The initial one's come first.
        state.netns = state.netns.or(netns);
        let own = netns.is_none() || netns == state.netns;
        // As a dump's state: bytes that nobody knows how to write are no value.
        let raw = row.get("raw").and_then(Value::as_bool) == Some(true);
        let value = text(row, "value").filter(|_| own && !raw);
        let sysctls = state.sysctls.get_or_insert_default();
        sysctls.extend(value.map(|value| (name, value)));
    } else if row.contains_key("orig_src") {
        *state.connections.get_or_insert(0) += 1;
    } else if let Some(uptime) = row.get("uptime_seconds").and_then(Value::as_f64) {
        let identity = &mut state.identity;
        identity.boot_time = identity.time.map(|time| time - uptime as i64);
    }
}
