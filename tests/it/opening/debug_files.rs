//! Debug files as distributions lay them: trees of unpacked packages, what was split off a kernel,
//! what dwz made of it. Where a tool is not there, what it makes is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use vmleak::types::{DebugFile, Dwarf, TypeDb};

use crate::support::{RealDump, run, small_dump};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Whether the tool was there; what it says where it fails ends the test.
fn tool(name: &str, args: &[&str]) -> bool {
    let Ok(output) = Command::new(name).args(args).output() else {
        eprintln!("SKIPPED: no {name}");
        return false;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {args:?}: {said}");
    true
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// The path of a file, its folder made.
    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a directory");
        path
    }

    fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::copy(from, &path).expect("it copies");
        path
    }
}

/// The document of `info`, without /usr/lib/debug.
fn info(small: &RealDump, args: &[&str]) -> Value {
    let own = ["info", "--format", "json", "--no-default-debug-directories"];
    let args = [&own[..], args, &[text(&small.vmcore)]].concat();
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// What was split off the small kernel, and the rest.
fn split(small: &RealDump, folder: &Folder) -> Option<(PathBuf, PathBuf)> {
    let (debug, rest) = (folder.path("split/debug"), folder.path("split/rest"));
    let whole = text(&small.vmlinux);
    let made = tool("objcopy", &["--only-keep-debug", whole, text(&debug)])
        && tool("objcopy", &["--strip-debug", whole, text(&rest)]);
    made.then_some((debug, rest))
}

#[test]
fn trees_of_unpacked_packages_are_searched() {
    let (small, folder) = (small_dump(), Folder::new());
    let found = info(&small, &[text(&small.vmlinux)]);
    let dump = &found["dump"];
    let release = dump["release"].as_str().expect("a release");
    let id = dump["build_id"].as_str().expect("a build-id");
    let (first, rest) = id.split_at(2);
    for place in [
        // Red Hat, as rpm2cpio leaves it.
        format!("usr/lib/debug/lib/modules/{release}/vmlinux"),
        // SUSE.
        format!("usr/lib/debug/usr/lib/modules/{release}/vmlinux.debug"),
        format!("usr/lib/debug/boot/vmlinux-{release}.debug"),
        format!("usr/lib/debug/.build-id/{first}/{rest}.debug"),
        // Without what is above.
        format!("lib/modules/{release}/vmlinux"),
        format!("boot/vmlinux-{release}"),
    ] {
        let tree = folder.path(&format!("{}/x", place.replace('/', "-")));
        let tree = tree.parent().expect("a folder");
        let name = tree.join(&place);
        folder.copy(&small.vmlinux, text(&name));
        let found = info(&small, &["--debug-directory", text(tree)]);
        assert_eq!(found["dump"]["types_from"], "dwarf", "{place}");
    }
}

/// The kernel that boots has BTF and symbols yet; the types are to come from what was split off.
#[test]
fn what_was_split_off_is_found() {
    let (small, folder) = (small_dump(), Folder::new());
    let Some((debug, rest)) = split(&small, &folder) else {
        return;
    };
    let alone = folder.copy(&rest, "alone/vmlinux");
    let types_from = |path: &Path| info(&small, &[text(path)])["dump"]["types_from"].clone();
    assert_eq!(types_from(&alone), "btf");
    // Beside it.
    let beside = folder.copy(&rest, "beside/vmlinux");
    folder.copy(&debug, "beside/vmlinux.debug");
    assert_eq!(types_from(&beside), "dwarf");
    // By its link, which names another file, in a folder below.
    let linked = folder.copy(&rest, "linked/vmlinux");
    let link = folder.copy(&debug, "linked/.debug/kernel.dbg");
    let option = format!("--add-gnu-debuglink={}", text(&link));
    assert!(tool("objcopy", &[&option, text(&linked)]));
    assert_eq!(types_from(&linked), "dwarf");
    // Packed, as SUSE's /boot has it.
    if tool("gzip", &["-k", text(&rest)]) {
        let packed = folder.copy(&rest.with_extension("gz"), "packed/vmlinux-6.12.gz");
        folder.copy(&debug, "packed/vmlinux-6.12.debug");
        assert_eq!(types_from(&packed), "dwarf");
    }
    // Another file of that name is not what was split off.
    let wrong = folder.copy(&rest, "wrong/vmlinux");
    std::fs::write(folder.path("wrong/vmlinux.debug"), "no debug file").expect("it writes");
    assert_eq!(types_from(&wrong), "btf");
    let other = folder.path("wrong/vmlinux.debug");
    let id = ["--remove-section", ".notes", text(&debug), text(&other)];
    assert!(tool("objcopy", &id));
    assert_eq!(
        types_from(&wrong),
        "btf",
        "nothing tells that they belong together"
    );
}

const SHARED: &str = "struct shared_with_all { long number; char name[56]; struct shared_with_all *next; int a, b, c, d; };\n";

/// Two units that have a structure in common, linked.
fn linked(folder: &Folder, version: u32, name: &str) -> Option<PathBuf> {
    let mut objects = Vec::new();
    std::fs::write(folder.path("mm/shared.h"), SHARED).expect("it writes");
    for unit in ["mm/slub", "mm/memcontrol"] {
        let source = folder.path(&format!("{unit}.c"));
        let own = unit.replace('/', "_");
        let code = format!(
            "#include \"shared.h\"\nstruct {own} {{ int one; struct shared_with_all all; }};\nstruct {own} variable_{own};\nstruct shared_with_all list_{own};\n"
        );
        std::fs::write(&source, code).expect("it writes");
        let object = folder.path(&format!("{unit}-{version}.o"));
        let dwarf = format!("-gdwarf-{version}");
        let args = ["-c", &dwarf, "-o", text(&object), text(&source)];
        if !tool("gcc", &args) {
            return None;
        }
        objects.push(object);
    }
    let out = folder.path(name);
    let mut args = vec!["-e", "0", "-o", text(&out)];
    args.extend(objects.iter().map(|object| text(object)));
    tool("ld", &args).then_some(out)
}

fn dwarf(path: &Path) -> TypeDb {
    let file = Arc::new(DebugFile::open(path).expect("a debug file"));
    TypeDb::new(vec![Box::new(Dwarf::new(file).expect("DWARF"))])
}

/// What several units have in common, dwz puts into one that they import.
#[test]
fn what_units_import_is_theirs() {
    let folder = Folder::new();
    for version in [2, 3, 4, 5] {
        let Some(plain) = linked(&folder, version, &format!("plain-{version}")) else {
            return;
        };
        let packed = folder.copy(&plain, &format!("packed-{version}"));
        // What is shared by two units alone is left where it is otherwise.
        if !tool("dwz", &["-l", "none", "-L", "none", text(&packed)]) {
            return;
        }
        for path in [&plain, &packed] {
            let types = dwarf(path);
            for home in ["mm/slub.c", "mm/memcontrol.c"] {
                let found = types.find_struct("shared_with_all", home, false);
                let found = found.expect("it reads");
                let found = found.unwrap_or_else(|| panic!("{} {home}", path.display()));
                assert_eq!(found.body.size, 88, "{}", path.display());
                let name = found.member("name").expect("it reads").expect("a member");
                assert_eq!((name.offset, name.ty.size), (8, 56));
            }
        }
    }
}

#[test]
fn what_dwz_moved_to_another_file_is_named() {
    let folder = Folder::new();
    let Some(one) = linked(&folder, 4, "one") else {
        return;
    };
    let other = folder.copy(&one, "other");
    let common = folder.path("common");
    let args = [
        "-m",
        text(&common),
        "-l",
        "none",
        "-L",
        "none",
        text(&one),
        text(&other),
    ];
    if !tool("dwz", &args) {
        return;
    }
    let file = Arc::new(DebugFile::open(&one).expect("a debug file"));
    let error = Dwarf::new(file)
        .expect_err("parts of it are elsewhere")
        .to_string();
    assert!(error.contains("common") && error.contains("dwz"), "{error}");
}
