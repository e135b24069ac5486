//! The connection table of synthetic kernels: protocols, states, zones and lists that no real dump
//! at hand has, against the truth they were laid out from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use vmleak_synth::debuginfo::{self, Compression, VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, Options, PagingLevels, Scenario};

use crate::support::run;

pub(crate) struct Written {
    _folder: tempfile::TempDir,
    files: Vec<String>,
}

impl Written {
    pub(crate) fn conntrack(&self, more: &[&str]) -> (i32, String, String) {
        let mut args = vec!["conntrack"];
        args.extend(self.files.iter().map(String::as_str));
        args.extend(more);
        run(&args)
    }

    pub(crate) fn document(&self) -> (i32, Value) {
        let (code, stdout, stderr) = self.conntrack(&["--format", "json"]);
        let parsed = serde_json::from_str(&stdout);
        (
            code,
            parsed.unwrap_or_else(|e| panic!("{e}: exit {code}: {stderr}")),
        )
    }
}

pub(crate) fn write(machine: &Machine) -> Written {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let save = |name: &str, bytes: &[u8]| -> String {
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file writes");
        path.to_str().expect("UTF-8").to_owned()
    };
    let mut files = vec![
        save(
            "dump",
            &kdump::kdump(machine, kdump::Options::new(Codec::Lzo)),
        ),
        save("vmlinux", &vmlinux(machine, VmlinuxOptions::new(5))),
    ];
    if machine.options.conntrack_module {
        let module = debuginfo::module(machine, "nf_conntrack", 5, Compression::None);
        files.push("-s".to_owned());
        files.push(save("nf_conntrack.ko", &module));
    }
    Written {
        _folder: folder,
        files,
    }
}

fn machines() -> Vec<(String, Machine)> {
    let mut all = Vec::new();
    for era in Era::ALL {
        for module in [false, true] {
            let options = Options {
                conntrack_module: module,
                ..Options::new(era, PagingLevels::Four)
            };
            let name = format!("{} module {module}", era.name());
            all.push((name, Machine::with(options, &Scenario::conntrack())));
        }
    }
    all
}

/// 7.2's slab allocator may not be readable yet; then unlinked connections can't be known.
fn knows_unlinked(document: &Value) -> bool {
    !document["reconciliation"]["unlinked"].is_null()
}

#[test]
fn every_entry_is_on_its_list_with_all_it_has() {
    for (what, machine) in machines() {
        let truth = machine.conntrack_truth();
        let (_, document) = write(&machine).document();
        let entries = document["entries"].as_array().expect("entries");
        let mut listed = 0;
        for want in &truth.entries {
            let address = format!("{:#018x}", want.address);
            let got = entries.iter().find(|e| e["address"] == address.as_str());
            if want.list.name() == "unlinked" && !knows_unlinked(&document) {
                continue;
            }
            let got =
                got.unwrap_or_else(|| panic!("{what}: no entry {address} ({})", want.list.name()));
            listed += 1;
            assert_eq!(got["list"], want.list.name(), "{what}: {address}");
            assert_eq!(got["netns"], want.netns, "{what}: {address}");
            assert_eq!(got["l3proto"], want.l3name, "{what}: {address}");
            assert_eq!(got["timeout_raw"], want.timeout_raw, "{what}: {address}");
            assert_eq!(got["expired"], want.expired, "{what}: {address}");
            let status: BTreeSet<&str> = want.status.iter().copied().collect();
            let ours: BTreeSet<&str> = got["status"]
                .as_array()
                .expect("status")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert_eq!(ours, status, "{what}: {address}");
            if let Some(state) = want.state {
                assert_eq!(got["state"], state, "{what}: {address}");
            }
            let master = (want.master != 0).then(|| format!("{:#018x}", want.master));
            assert_eq!(
                got["master"].as_str().map(str::to_owned),
                master,
                "{what}: {address}"
            );
        }
        assert_eq!(listed, entries.len(), "{what}");
        assert_eq!(document["walk"]["entries"], truth.in_hash, "{what}");
        assert_eq!(
            document["walk"]["longest_chain"], truth.longest_chain,
            "{what}"
        );
        assert_eq!(document["limits"]["max"], truth.max, "{what}");
        assert_eq!(document["limits"]["buckets"], truth.buckets, "{what}");
        if knows_unlinked(&document) {
            assert_eq!(
                document["reconciliation"]["allocated"], truth.objects,
                "{what}"
            );
        }
    }
}

/// A line without its delta-time, and that.
fn without_age(line: &str) -> (String, Option<u64>) {
    let mut age = None;
    let words = line
        .split(' ')
        .filter(|word| match word.strip_prefix("delta-time=") {
            Some(seconds) => {
                age = seconds.parse().ok();
                false
            }
            None => true,
        });
    let rest = words.collect::<Vec<_>>().join(" ");
    (rest, age)
}

/// Lines of the initial namespace and of the other one, to the letter, seconds included.
#[test]
fn lines_of_every_protocol_are_to_the_letter() {
    for (what, machine) in machines() {
        let truth = machine.conntrack_truth();
        let written = write(&machine);
        for netns in &truth.netns {
            let inum = netns.inum.to_string();
            let (_, stdout, stderr) = written.conntrack(&["--format", "proc", "--netns", &inum]);
            let ours: BTreeMap<String, Option<u64>> = stdout.lines().map(without_age).collect();
            let lines = truth.proc_lines(netns.inum);
            let theirs: BTreeMap<String, Option<u64>> =
                lines.into_iter().map(without_age).collect();
            let only = |a: &BTreeMap<String, _>, b: &BTreeMap<String, _>| -> Vec<String> {
                a.keys()
                    .filter(|line| !b.contains_key(*line))
                    .cloned()
                    .collect()
            };
            let (extra, missing) = (only(&ours, &theirs), only(&theirs, &ours));
            let same = extra.is_empty() && missing.is_empty();
            assert!(
                same,
                "{what}: {inum}: {stderr}\n+ {extra:#?}\n- {missing:#?}"
            );
            for (line, age) in &ours {
                let want = theirs[line];
                // The dump tells the second of the crash, not its fraction.
                let apart = age.unwrap_or(0).abs_diff(want.unwrap_or(0));
                let near = age.is_some() == want.is_some() && apart <= 1;
                assert!(near, "{what}: {line}: {age:?} against {want:?}");
            }
            let args = ["--stats", "--format", "proc", "--netns", &inum];
            let (_, stdout, _) = written.conntrack(&args);
            let ours: Vec<&str> = stdout.lines().collect();
            assert_eq!(ours, netns.stat_lines, "{what}: {inum}");
            let (_, stdout, _) = written.conntrack(&["--expect", "--netns", &inum]);
            let ours: BTreeSet<&str> = stdout.lines().collect();
            let theirs: BTreeSet<&str> = truth.expect_lines(netns.inum).into_iter().collect();
            assert_eq!(ours, theirs, "{what}: {inum}");
        }
    }
}

/// Seconds since the collector's last round began, where the kernel keeps that.
#[test]
fn the_summary_knows_the_collectors_last_round() {
    for (what, machine) in machines() {
        let truth = machine.conntrack_truth();
        let (_, stdout, stderr) = write(&machine).conntrack(&["--summary", "--format", "json"]);
        let summary: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stderr}"));
        let seconds = summary["gc"]["seconds_since_start"].as_f64();
        let want = truth
            .gc_age
            .map(|ticks| f64::from(ticks) / f64::from(truth.hz));
        assert_eq!(seconds, want, "{what}");
        assert_eq!(summary["gc"]["next_bucket"], truth.buckets / 3, "{what}");
        assert_eq!(summary["limits"]["max"], truth.max, "{what}");
    }
}

pub(crate) fn addresses(document: &Value) -> BTreeSet<String> {
    let entries = document["entries"].as_array().expect("entries");
    let mut all = BTreeSet::new();
    for entry in entries.iter().filter(|e| e["list"] == "hash") {
        let address = entry["address"].as_str().expect("an address").to_owned();
        assert!(all.insert(address.clone()), "{address} is given twice");
    }
    all
}

#[test]
fn a_table_that_no_cache_holds_is_read_in_the_order_of_the_file() {
    let machine = Machine::build(
        Era::V6_1,
        PagingLevels::Four,
        &Scenario::conntrack_many(20_000, 8192),
    );
    let written = write(&machine);
    for format in ["proc", "csv"] {
        let (code, expected, _) = written.conntrack(&["--format", format]);
        assert_eq!((code, expected.lines().count() >= 20_000), (0, true));
        let (code, small, note) = written.conntrack(&["--format", format, "--max-memory", "1M"]);
        assert_eq!((code, small == expected), (0, true), "{format}: {note}");
        // Nothing was unpacked again and again: that would be said.
        assert!(!note.contains("the cache of 1.0 MiB"), "{note}");
    }
}
