//! The lists are held against what the sources ask for.

use std::path::{Path, PathBuf};

use super::*;

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            out.push(path);
        }
    }
}

/// The first `count` arguments of each call of `function`, if they are literals; what comes
/// before the call is with them.
fn calls<'s>(source: &'s str, function: &str, count: usize) -> Vec<(&'s str, Vec<&'s str>)> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices(function) {
        let mut rest = source[at + function.len()..].trim_start();
        let mut arguments = Vec::new();
        while let Some((text, behind)) = rest.strip_prefix('"').and_then(|r| r.split_once('"')) {
            arguments.push(text);
            rest = behind.trim_start_matches(',').trim_start();
        }
        if arguments.len() >= count {
            arguments.truncate(count);
            found.push((&source[..at], arguments));
        }
    }
    found
}

/// Each source less its unit tests.
fn each(mut look: impl FnMut(&Path, &str)) {
    let mut paths = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    sources(&root, &mut paths);
    assert!(paths.len() > 100, "the sources are there");
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("it reads");
        let code = text.split("#[cfg(test)]\nmod tests {").next().expect("one");
        look(path.strip_prefix(&root).expect("below"), code);
    }
}

#[test]
fn every_symbol_asked_for_is_listed() {
    let mut missing = Vec::new();
    let mut seen = 0;
    each(|path, code| {
        let asking = [
            "symbol(",
            "address(",
            "mask(kernel,",
            "u64_of(",
            "u32_of(",
            "bool_of(",
            "truth_of(",
            "reader.variable(",
            "reader.long(",
            "reader.count(",
            "reader.int(",
            "reader.flag(",
            "reader.sum(",
            "names(reader,",
        ];
        for (before, arguments) in asking.iter().flat_map(|call| calls(code, call, 1)) {
            // VMCOREINFO has symbols of its own.
            if !before.ends_with("info.") && !before.ends_with("vmcoreinfo().") {
                seen += 1;
                if !SYMBOLS.contains(&arguments[0]) {
                    missing.push(format!("{}: {:?}", path.display(), arguments[0]));
                }
            }
        }
    });
    assert!(seen > 150, "the pattern finds {seen} calls");
    assert!(missing.is_empty(), "add to SYMBOLS: {missing:#?}");
    assert!(SYMBOLS.is_sorted());
}

#[test]
fn every_type_asked_for_by_hand_is_listed() {
    let mut missing = Vec::new();
    let mut seen = 0;
    each(|path, code| {
        let lists = [
            ("find_struct(", STRUCTURES),
            ("find_in_unit(", STRUCTURES),
            ("enumeration(", ENUMERATIONS),
            ("enumerator(", ENUMERATIONS),
        ];
        for (call, list) in lists {
            for (_, pair) in calls(code, call, 2) {
                seen += 1;
                if !list.contains(&(pair[0], pair[1])) {
                    missing.push(format!("{}: {call}{pair:?}", path.display()));
                }
            }
        }
    });
    assert!(seen > 6, "the pattern finds {seen} calls");
    assert!(
        missing.is_empty(),
        "not in STRUCTURES or ENUMERATIONS: {missing:#?}"
    );
}

#[test]
fn every_layout_registers_itself() {
    let mut declared = 0;
    each(|path, code| {
        if !path.ends_with("kernel/layout.rs") {
            declared += code.matches("layout! {").count();
        }
    });
    assert_eq!(Registered::all().count(), declared);
}
