//! What only `src/space/arch` may know: names of architectures, sizes of pages, places of
//! addresses.

use std::fs;
use std::path::{Path, PathBuf};

/// What no other source says: an architecture's name, the size or shift of its pages, the upper
/// half of its addresses. Limits that have nothing to do with pages are written as `4 << 10`.
const FORBIDDEN: [&str; 9] = [
    "x86_64",
    "aarch64",
    "4096",
    "4095",
    "<< 12)",
    ">> 12",
    "0xffff_8",
    "0xffff8",
    "0xffff_ffff_8",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// The part of a file before its tests; files of tests have none.
fn without_tests(path: &Path, text: &str) -> String {
    if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
        return String::new();
    }
    let before = text.split("#[cfg(test)]\nmod tests {").next();
    before.unwrap_or_default().to_owned()
}

#[test]
fn only_one_folder_names_an_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let arch = root.join("space/arch");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let mut wrong = Vec::new();
    for path in files.iter().filter(|path| !path.starts_with(&arch)) {
        let text = fs::read_to_string(path).expect("a source");
        for (number, line) in without_tests(path, &text).lines().enumerate() {
            if FORBIDDEN.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
