//! What the kernel itself kept account of, against what its guests printed: kmemleak's file,
//! /proc/allocinfo, the memory cgroups. And the pages about vmleak itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run, small_dump, small_dumps, small_variant};

const NOWHERE: &str = "--no-default-debug-directories";

fn files(dump: &RealDump) -> [&str; 2] {
    [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"))
}

fn vmleak(dump: &RealDump, command: &str, more: &[&str]) -> String {
    let (code, stdout, stderr) = run(&[&[command], &files(dump)[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// The guest had it scan and read the file just before: nothing moved. Kernels from 6.8 on print
/// no ages.
#[test]
fn kmemleak_lists_what_the_kernel_listed() {
    for dump in small_dumps(&["small-6.12-debug", "small-7.2-debug"]) {
        let printed = vmleak(&dump, "kmemleak", &["--format", "proc"]);
        let captured = dump.captured("kmemleak");
        assert!(captured.lines().count() > 10_000, "{}", dump.name);
        let pairs = printed.lines().zip(captured.lines());
        for (at, (ours, theirs)) in pairs.enumerate() {
            assert_eq!(ours, theirs, "{}: line {}", dump.name, at + 1);
        }
        assert_eq!(printed.len(), captured.len(), "{}", dump.name);
    }
}

/// `…, jiffies 4294895030 (age 19.676s)` without the age, and the age in milliseconds.
fn without_age(line: &str) -> (&str, Option<u64>) {
    let Some((rest, age)) = line.split_once(" (age ") else {
        return (line, None);
    };
    let age = age.trim_end_matches("s)").replace('.', "");
    (rest, Some(age.parse().expect("an age")))
}

/// Older kernels print ages, which grow until the crash: by less from line to line, as printing
/// took its time.
#[test]
fn kmemleak_lists_what_an_older_kernel_listed() {
    let Some(dump) = small_variant("small-5.10-debug") else {
        return;
    };
    let printed = vmleak(&dump, "kmemleak", &["--format", "proc"]);
    let captured = dump.captured("kmemleak");
    assert!(captured.lines().count() > 10_000);
    assert_eq!(printed.lines().count(), captured.lines().count());
    let mut grown = Vec::new();
    for (at, (ours, theirs)) in printed.lines().zip(captured.lines()).enumerate() {
        let (ours, theirs) = (without_age(ours), without_age(theirs));
        assert_eq!(ours.0, theirs.0, "line {}", at + 1);
        assert_eq!(ours.1.is_some(), theirs.1.is_some(), "line {}", at + 1);
        grown.extend(ours.1.zip(theirs.1).map(|(ours, theirs)| ours - theirs));
    }
    assert!(grown.len() > 800, "{}", grown.len());
    assert!(grown.iter().all(|by| (1..15_000).contains(by)), "{grown:?}");
    assert!(grown.is_sorted_by(|one, next| one >= next), "{grown:?}");
}

#[test]
fn kmemleak_sums_up_what_it_lists() {
    for dump in small_dumps(&["small-5.10-debug", "small-6.12-debug", "small-7.2-debug"]) {
        assert_sums(&dump);
    }
}

fn assert_sums(dump: &RealDump) {
    let captured = dump.captured("kmemleak");
    let heads = captured.lines().filter_map(|line| {
        let rest = line.strip_prefix("unreferenced object ")?;
        let (address, size) = rest.split_once(" (size ")?;
        Some((address, size.trim_end_matches("):").parse::<u64>().ok()?))
    });
    let heads: Vec<(&str, u64)> = heads.collect();
    let document = json(&vmleak(dump, "kmemleak", &["--format", "json"]));
    let totals = &document["totals"];
    assert_eq!(number(&totals["objects"]), heads.len() as u64);
    let bytes: u64 = heads.iter().map(|(_, size)| size).sum();
    assert_eq!(number(&totals["bytes"]), bytes);
    let listed = document["unreferenced"].as_array().expect("objects");
    let stacks = document["stacks"].as_array().expect("stacks");
    let mut by_stack: BTreeMap<u64, u64> = BTreeMap::new();
    for (object, (address, size)) in listed.iter().zip(&heads) {
        assert_eq!(
            (&object["address"], number(&object["size"])),
            (&(*address).into(), *size)
        );
        *by_stack.entry(number(&object["stack"])).or_default() += size;
    }
    for (place, bytes) in by_stack {
        assert_eq!(number(&stacks[place as usize]["bytes"]), bytes);
    }
    let state = &document["state"];
    assert_eq!(state["enabled"], true);
    assert_eq!(state["stopped_by_error"], false);
    // SECS_SCAN_WAIT and MSECS_MIN_AGE of mm/kmemleak.c.
    assert_eq!(state["scan_interval_seconds"], 600.0);
    assert_eq!(state["min_age_seconds"], 5.0);
    // The guest ran it a moment before the crash.
    let age = state["last_scan_age_seconds"].as_f64().expect("it scanned");
    assert!((0.0..15.0).contains(&age), "{age}");
    for object in listed {
        let object_age = object["age_seconds"].as_f64().expect("a clock");
        assert!(object_age >= age + 5.0, "{object}");
    }
    assert!(number(&document["tracked"]["objects"]) > 10_000);
}

/// Each line of the capture, in its order, but for sites that allocated or freed until the crash.
#[test]
fn allocinfo_prints_what_the_kernel_printed() {
    for dump in small_dumps(&["small-6.12-debug", "small-7.2-debug"]) {
        assert_sites(&dump);
    }
}

fn assert_sites(dump: &RealDump) {
    const MOVED: usize = 80;
    const MOST: u64 = 512 << 10;
    let printed = vmleak(dump, "allocinfo", &["--format", "proc"]);
    let captured = dump.captured("allocinfo");
    let (ours, theirs): (Vec<&str>, Vec<&str>) =
        (printed.lines().collect(), captured.lines().collect());
    assert_eq!(ours[..2], theirs[..2], "the header");
    assert_eq!(ours.len(), theirs.len());
    let place = |line: &str| {
        let numbers = line.trim_start().split_once(' ').expect("bytes");
        let (_, place) = numbers.1.trim_start().split_once(' ').expect("calls");
        place.to_owned()
    };
    let bytes = |line: &str| -> i64 {
        let bytes = line.split_whitespace().next().expect("bytes");
        bytes.parse().expect("a number")
    };
    let mut moved = 0;
    for (ours, theirs) in ours.iter().zip(&theirs).skip(2) {
        assert_eq!(place(ours), place(theirs));
        if ours != theirs {
            moved += 1;
            let by = bytes(ours).abs_diff(bytes(theirs));
            assert!(by <= MOST, "{theirs} became {ours}");
            // What the module lost moved no more.
            assert!(!ours.contains("[leaky]"), "{ours}");
        }
    }
    assert!(moved <= MOVED, "{moved} sites moved");
    assert_eq!(
        theirs
            .iter()
            .filter(|line| line.contains("[leaky]"))
            .count(),
        2
    );
}

#[test]
fn allocinfo_sums_up_its_sites() {
    let Some(dump) = small_variant("small-6.12-debug") else {
        return;
    };
    let document = json(&vmleak(&dump, "allocinfo", &["--format", "json"]));
    assert_eq!(document["enabled"], true);
    let sites = document["sites"].as_array().expect("sites");
    let bytes: Vec<i64> = sites
        .iter()
        .map(|site| site["bytes"].as_i64().expect("one"))
        .collect();
    assert!(bytes.is_sorted_by(|one, next| one >= next));
    assert_eq!(document["totals"]["bytes"], bytes.iter().sum::<i64>());
    let printed = vmleak(&dump, "allocinfo", &["--format", "proc"]);
    assert_eq!(
        number(&document["totals"]["sites"]),
        printed.lines().count() as u64 - 2
    );
}

#[test]
fn kernels_without_say_what_they_need() {
    let mut dumps = real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]);
    dumps.push(small_dump());
    for dump in dumps {
        for (command, option) in [
            ("kmemleak", "CONFIG_DEBUG_KMEMLEAK"),
            ("allocinfo", "CONFIG_MEM_ALLOC_PROFILING"),
        ] {
            let (code, stdout, stderr) = run(&[&[command], &files(&dump)[..]].concat());
            assert_eq!((code, stdout.as_str()), (3, ""), "{}: {command}", dump.name);
            assert!(stderr.contains(option), "{}: {stderr}", dump.name);
        }
    }
}

fn memcgs(document: &Value) -> &Vec<Value> {
    document["memcgs"].as_array().expect("memcgs")
}

/// The tree, by the guest's own directories and its cgroup.stat.
#[test]
fn memory_cgroups_are_those_of_the_guest() {
    for dump in real_dumps(&["6.1-busy", "7.2-busy", "6.1-dentries", "6.1-leaky"]) {
        let document = json(&vmleak(&dump, "memcg", &["--format", "json"]));
        let (dying, alive): (Vec<&Value>, Vec<&Value>) = memcgs(&document)
            .iter()
            .partition(|memcg| memcg["dying"] == true);
        let paths: BTreeSet<String> = alive
            .iter()
            .map(|memcg| memcg["path"].as_str().expect("a path").to_owned())
            .collect();
        let captured = dump.captured("cgroups");
        let wanted = captured.lines().map(|line| {
            let path = line.strip_prefix("/sys/fs/cgroup").expect("below it");
            if path.is_empty() { "/" } else { path }.to_owned()
        });
        assert_eq!(paths, wanted.collect(), "{}", dump.name);
        let stat = dump.captured("cgroup.stat");
        let counter = |name: &str| -> u64 {
            let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
            let (_, value) = lines.find(|(known, _)| *known == name).expect(name);
            value.parse().expect("a number")
        };
        let wanted = counter("nr_dying_descendants");
        assert_eq!(dying.len() as u64, wanted, "{}", dump.name);
        let totals = &document["totals"];
        assert_eq!(number(&totals["dying_cgroups"]), wanted, "{}", dump.name);
        assert_eq!(number(&totals["dying"]), wanted, "{}", dump.name);
        assert_eq!(alive.len() as u64, counter("nr_descendants") + 1);
        let addresses: BTreeSet<&str> = memcgs(&document)
            .iter()
            .map(|memcg| memcg["address"].as_str().expect("one"))
            .collect();
        assert_eq!(addresses.len(), memcgs(&document).len());
    }
}

/// Pages charged (`page_counter`) and pages by what they are (memory.stat) are two routes to one
/// number, less what CPUs charge in advance: MEMCG_CHARGE_BATCH pages, in 7.x for each of several
/// cgroups.
#[test]
fn what_is_charged_is_what_the_statistics_tell() {
    const IN_ADVANCE: u64 = 64 * 4096;
    for dump in real_dumps(&["6.1-busy", "7.2-busy"]) {
        let document = json(&vmleak(&dump, "memcg", &["--format", "json"]));
        let cpus = number(&document["dump"]["nr_cpus"]);
        let mut compared = 0;
        // The root is charged for none of its own.
        for memcg in memcgs(&document).iter().skip(1) {
            let stat = |name: &str| number(&memcg["stat"][name]);
            let told = stat("anon") + stat("file") + stat("kernel") + stat("sock");
            let charged = number(&memcg["current"]);
            let name = &memcg["path"];
            assert!(
                told <= charged,
                "{}: {name}: {told} of {charged}",
                dump.name
            );
            assert!(
                charged - told <= cpus * IN_ADVANCE,
                "{}: {name}: {told} of {charged}",
                dump.name
            );
            compared += 1;
        }
        assert!(compared > 5, "{}", dump.name);
    }
}

#[test]
fn memory_cgroups_need_no_vmlinux() {
    for dump in real_dumps(&["6.1-busy", "7.2-busy", "6.12"]) {
        let with = json(&vmleak(&dump, "memcg", &["--format", "json"]));
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, stdout, stderr) = run(&["memcg", "--format", "json", vmcore, NOWHERE]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        assert_eq!(json(&stdout)["memcgs"], with["memcgs"], "{}", dump.name);
    }
}

#[test]
fn memory_cgroups_of_5_10_are_read() {
    for dump in real_dumps(&["5.10"]) {
        let document = json(&vmleak(&dump, "memcg", &["--format", "json"]));
        let root = &memcgs(&document)[0];
        assert_eq!(root["path"], "/");
        // All of the page cache is the root's there.
        let cached = dump.captured("meminfo");
        let kib = |name: &str| -> u64 {
            let mut lines = cached.lines().filter_map(|line| line.strip_prefix(name));
            let value = lines.next().expect(name).trim().trim_end_matches(" kB");
            value.parse().expect("a number")
        };
        let wanted = (kib("Cached:") + kib("Buffers:")) << 10;
        let file = number(&root["stat"]["file"]);
        assert!(file.abs_diff(wanted) < 4 << 20, "{file} for {wanted}");
    }
}

#[test]
fn the_man_page_has_every_command_and_its_sections() {
    let (code, page, _) = run(&["man"]);
    assert_eq!(code, 0);
    for section in ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
        let heads = [format!(".SH {section}"), format!(".SH \"{section}\"")];
        assert!(
            page.lines()
                .any(|line| heads.iter().any(|head| head == line)),
            "{section}"
        );
    }
    let (_, help, _) = run(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 12, "{names:?}");
    for name in names {
        let entry = format!("vmleak\\-{}", name.replace('-', "\\-"));
        assert!(page.contains(&entry), "{name}");
        let (code, own, stderr) = run(&["man", name]);
        assert_eq!(code, 0, "{name}: {stderr}");
        assert!(own.contains(&entry), "{name}");
    }
    let (code, _, stderr) = run(&["man", "nosuch"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, stderr) = run(&["completions", shell]);
        assert_eq!(code, 0, "{shell}: {stderr}");
        for word in ["kmemleak", "conntrack", "fail-on"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "nosuch"]).0, 2);
}
