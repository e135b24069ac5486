//! Profiles written and read: the same report as with the vmlinux, or an error that says
//! what is wrong.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::opening::no_vmlinux::{COMMANDS, NOWHERE, document};
use crate::support::{RealDump, real_dumps, run, small_dump};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// `info --save-profile` with a vmlinux, or with what the dump itself has.
fn save(dump: &RealDump, with_vmlinux: bool, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{}-{with_vmlinux}.profile", dump.name));
    let mut args = vec!["info", text(&dump.vmcore), "--save-profile", text(&path)];
    args.push(if with_vmlinux {
        text(&dump.vmlinux)
    } else {
        NOWHERE
    });
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    path
}

fn content(path: &Path) -> Value {
    let packed = std::fs::read(path).expect("it reads");
    let plain = zstd::stream::decode_all(packed.as_slice()).expect("zstd");
    serde_json::from_slice(&plain).expect("JSON")
}

fn without_rules(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut() {
        fields.remove("rules");
        fields.remove("rules_known");
    }
    if let Some(warnings) = document["warnings"].as_array_mut() {
        warnings.retain(|warning| warning["code"] != "nat-rules-unknown");
    }
    let translations = document["translations"].as_array_mut();
    for fields in translations
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        fields.remove("snat_rules");
        fields.remove("dnat_rules");
    }
    document
}

fn assert_same_reports(dump: &RealDump, profile: &Path) {
    let option = format!("profile:{}", text(profile));
    let more = ["--types", &option, NOWHERE];
    // The names of functions that sysctl looks for are in no profile, but in the dump.
    for command in COMMANDS.into_iter().chain(["sysctl"]) {
        let what = format!("{} {command}", dump.name);
        let (wanted, _) = document(command, &[&dump.vmcore, &dump.vmlinux], &[]);
        let (found, from) = document(command, &[&dump.vmcore], &more);
        assert_eq!(from, ["profile", "profile"], "{what}");
        // Profiles have no types of the modules that filter: no rules are named by them.
        let [wanted, found] = [wanted, found].map(without_rules);
        assert!(wanted == found, "{what}: another report");
    }
    let cache = Path::new("kmalloc-64");
    let (wanted, _) = document("objects", &[cache, &dump.vmcore, &dump.vmlinux], &[]);
    let (found, _) = document("objects", &[cache, &dump.vmcore], &more);
    assert!(wanted == found, "{}: other objects", dump.name);
}

#[test]
fn a_profile_of_the_small_dump_stands_for_its_vmlinux() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let dump = small_dump();
    assert_same_reports(&dump, &save(&dump, true, folder.path()));
}

#[test]
fn profiles_of_distribution_kernels_stand_for_their_vmlinux() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let saved = save(&dump, true, folder.path());
        assert_same_reports(&dump, &saved);
        let size = std::fs::metadata(&saved).expect("it is there").len();
        assert!(size < 100_000, "{size} bytes");
        // The one in the matrix is made of the debug package, without a dump. It has x86_64's.
        if dump.name.ends_with("-arm64") {
            continue;
        }
        let release = dump.captured("osrelease");
        let matrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/profiles");
        let matrix = matrix.join(format!("{}.profile", release.trim()));
        assert!(content(&saved) == content(&matrix), "{}", matrix.display());
    }
}

/// From the dump's own kallsyms, symbols are where KASLR put them.
#[test]
fn symbols_are_written_as_linked() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for dump in real_dumps(&["6.1", "6.12", "7.2", "6.12-arm64"]) {
        let symbols = |path: &Path| content(path)["symbols"].clone();
        let with = symbols(&save(&dump, true, folder.path()));
        let without = symbols(&save(&dump, false, folder.path()));
        for (name, address) in with.as_object().expect("symbols") {
            // Section boundaries may be without a name in kallsyms.
            if !without[name].is_null() {
                assert_eq!(without[name], *address, "{}: {name}", dump.name);
            }
        }
        assert!(without["slab_caches"].is_string());
    }
}

#[test]
fn another_kernels_profile_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/profiles");
    let other = format!("profile:{}/5.15.0-204-generic.profile", text(&folder));
    let dump = small_dump();
    let (code, _, stderr) = run(&["slabs", text(&dump.vmcore), "--types", &other]);
    assert_eq!(code, 3, "{stderr}");
    for said in [
        "5.15.0-204-generic.profile",
        "a profile of build-id",
        "--force",
    ] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    let garbage = folder.join("../MANIFEST");
    let option = format!("profile:{}", text(&garbage));
    let (code, _, stderr) = run(&["slabs", text(&dump.vmcore), "--types", &option]);
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("MANIFEST: not a usable profile"),
        "{stderr}"
    );
}

/// An older vmleak asked for less than this one.
#[test]
fn what_a_profile_does_not_know_is_said() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let dump = small_dump();
    let mut profile = content(&save(&dump, true, folder.path()));
    let path = folder.path().join("older.profile");
    let option = format!("profile:{}", text(&path));
    let mut slabs = |key: &str, name: &str| {
        let all = profile[key].as_object_mut().expect("an object");
        all.remove(name).expect("it was asked for");
        std::fs::write(&path, profile.to_string()).expect("it writes");
        run(&[
            "slabs",
            text(&dump.vmcore),
            "--types",
            &option,
            "--format",
            "json",
        ])
    };
    let (code, stdout, stderr) = slabs("symbols", "slab_kset");
    assert_eq!(code, 4, "{stderr}");
    assert!(
        stderr.contains("nothing of the symbol slab_kset"),
        "{stderr}"
    );
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(document["complete"], false);
    let (code, _, stderr) = slabs("structures", "kmem_cache_node");
    assert_eq!(code, 3, "{stderr}");
    assert!(
        stderr.contains("nothing of struct kmem_cache_node"),
        "{stderr}"
    );
}
