//! The table of rooms in docs/architecture.md against what the sources import: data goes one way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the table calls the rooms of its first row together.
const VOCABULARY: &str = "vocabulary";

/// The door to memory, which those who judge and those who print never open. The rooms below it
/// are not theirs by the table.
const READS_MEMORY: &str = "Kernel";

/// A row of the table: its rooms, and the rooms that they may use.
struct Row {
    rooms: Vec<String>,
    may_use: BTreeSet<String>,
}

/// The words in backticks, without slashes.
fn quoted(cell: &str) -> Vec<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words
        .map(|word| word.trim_end_matches('/').to_owned())
        .collect()
}

fn rows() -> Vec<Row> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/architecture.md")).expect("the document");
    let table = text.split("## Rooms").nth(1).expect("the rooms");
    let lines = table.lines().skip_while(|line| !line.starts_with("| `"));
    let mut rows: Vec<Row> = Vec::new();
    for line in lines.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [rooms, _, may_use] = cells[..] else {
            panic!("three columns: {line}");
        };
        let mut allowed: BTreeSet<String> = quoted(may_use).into_iter().collect();
        let vocabulary = rows.first().map(|row| row.rooms.clone());
        if may_use.contains(VOCABULARY) {
            allowed.extend(vocabulary.unwrap_or_default());
        }
        let together = quoted(rooms);
        allowed.extend(together.iter().cloned());
        rows.push(Row {
            rooms: together,
            may_use: allowed,
        });
    }
    rows
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false => found.push(path),
        }
    }
    found
}

/// The room of a file under src/, and its code without comments and tests.
fn code() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    for path in sources(&src) {
        let inside = path.strip_prefix(&src).expect("below src").to_owned();
        let first = inside.iter().next().expect("a name").to_string_lossy();
        let room = first.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).expect("a source");
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        all.push((room, inside, lines.collect::<Vec<_>>().join("\n")));
    }
    all
}

/// The rooms that follow `crate::`, alone or in braces.
fn used(code: &str) -> BTreeSet<String> {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        text[..end.unwrap_or(text.len())].to_owned()
    };
    let after = code.split("crate::").skip(1);
    after.map(name).filter(|name| name != "layout").collect()
}

fn is_test(path: &Path) -> bool {
    path.iter()
        .any(|part| part == "tests" || part == "tests.rs" || part == "synthetic.rs")
}

#[test]
fn rooms_use_what_the_table_lets_them() {
    let rows = rows();
    let mut allowed: BTreeMap<&str, &BTreeSet<String>> = BTreeMap::new();
    let mut above: BTreeSet<&String> = BTreeSet::new();
    for row in &rows {
        for room in &row.rooms {
            allowed.insert(room, &row.may_use);
        }
        above.extend(&row.rooms);
        // A room uses those above it in the table: nothing goes round in circles.
        let below = row.may_use.iter().filter(|room| !above.contains(room));
        assert_eq!(
            below.collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{:?}",
            row.rooms
        );
    }
    let rooms: BTreeSet<&str> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    for (room, path, code) in code() {
        if ["lib", "main", "cli"].contains(&room.as_str()) || is_test(&path) {
            continue;
        }
        let Some(may_use) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: no room of the table", path.display()));
            continue;
        };
        for other in used(&code) {
            let known = rooms.contains(other.as_str()) && other != room;
            if known && !may_use.contains(&other) {
                wrong.push(format!("{}: uses {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_judges_or_prints_reads_no_memory() {
    let mut wrong = Vec::new();
    for (room, path, code) in code() {
        if !["analysis", "render"].contains(&room.as_str()) {
            continue;
        }
        for import in code.split("crate::kernel::").skip(1) {
            let import = import.split(';').next().unwrap_or_default();
            let mut words = import.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == READS_MEMORY) {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
