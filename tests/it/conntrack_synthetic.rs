//! The connection table of synthetic kernels: protocols, states, zones, lists and damage
//! that no real dump at hand has, against the truth they were laid out from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use vmleak_synth::damage::{self, conntrack as hurt};
use vmleak_synth::debuginfo::{self, Compression, VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, Options, PagingLevels, Scenario};

use crate::support::run;

struct Written {
    _folder: tempfile::TempDir,
    files: Vec<String>,
}

impl Written {
    fn conntrack(&self, more: &[&str]) -> (i32, String, String) {
        let mut args = vec!["conntrack"];
        args.extend(self.files.iter().map(String::as_str));
        args.extend(more);
        run(&args)
    }

    fn document(&self) -> (i32, Value) {
        let (code, stdout, stderr) = self.conntrack(&["--format", "json"]);
        let parsed = serde_json::from_str(&stdout);
        (
            code,
            parsed.unwrap_or_else(|e| panic!("{e}: exit {code}: {stderr}")),
        )
    }
}

fn write(machine: &Machine) -> Written {
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

fn addresses(document: &Value) -> BTreeSet<String> {
    let entries = document["entries"].as_array().expect("entries");
    let mut all = BTreeSet::new();
    for entry in entries.iter().filter(|e| e["list"] == "hash") {
        let address = entry["address"].as_str().expect("an address").to_owned();
        assert!(all.insert(address.clone()), "{address} is given twice");
    }
    all
}

#[test]
fn a_broken_chain_costs_that_chain() {
    for era in Era::ALL {
        let machine = || Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
        let (_, whole) = write(&machine()).document();
        let whole = addresses(&whole);
        type Hurt = fn(&mut Machine, u64) -> hurt::BrokenChain;
        let cases: [(&str, Hurt, bool); 4] = [
            ("cycle", |m, bucket| hurt::chain_cycle(m, bucket), true),
            (
                "wild node",
                |m, bucket| hurt::wild_node(m, bucket, hurt::WILD),
                true,
            ),
            ("wild head", |m, bucket| hurt::wild_head(m, bucket), true),
            (
                "foreign marker",
                |m, bucket| hurt::foreign_marker(m, bucket, bucket ^ 1),
                false,
            ),
        ];
        for (name, damage, loses) in cases {
            let what = format!("{} {name}", era.name());
            let mut m = machine();
            let bucket = hurt::bucket_with(&m, 3, 0);
            let broken = damage(&mut m, bucket);
            let (code, document) = write(&m).document();
            let lost: BTreeSet<String> = broken
                .lost
                .iter()
                .map(|address| format!("{address:#018x}"))
                .collect();
            let want: BTreeSet<String> = whole.difference(&lost).cloned().collect();
            assert_eq!(addresses(&document), want, "{what}");
            let counted = if loses {
                "broken_chains"
            } else {
                "moved_chains"
            };
            assert_eq!(document["walk"][counted], 1, "{what}");
            // What stood behind the entry that was moved nobody knows.
            assert_eq!(code, 4, "{what}");
            assert!(
                !document["warnings"]
                    .as_array()
                    .expect("warnings")
                    .is_empty(),
                "{what}"
            );
        }
    }
}

#[test]
fn missing_buckets_and_wild_extensions_are_counted() {
    for era in Era::ALL {
        let machine = || Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
        let mut m = machine();
        let lost = hurt::exclude_buckets(&mut m, 0);
        let (code, document) = write(&m).document();
        assert_eq!(code, 4, "{}", era.name());
        assert!(
            document["walk"]["lost_buckets"].as_u64() > Some(0),
            "{}",
            era.name()
        );
        let found = addresses(&document);
        for address in &lost.lost {
            assert!(
                !found.contains(&format!("{address:#018x}")),
                "{}",
                era.name()
            );
        }
        let total = m.conntrack_truth().in_hash as usize;
        assert_eq!(found.len(), total - lost.lost.len(), "{}", era.name());

        let mut m = machine();
        hurt::wild_ext(&mut m, 0);
        let (code, document) = write(&m).document();
        assert_eq!(code, 4, "{}", era.name());
        assert_eq!(document["walk"]["lost_extensions"], 1, "{}", era.name());
        assert_eq!(addresses(&document).len(), total, "{}", era.name());
    }
}

#[test]
fn random_damage_ends_honestly() {
    for era in Era::ALL {
        for seed in 0..8 {
            let mut m = Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
            let laid = m.conntrack.as_ref().expect("a table");
            let (hash, entry) = (laid.hash, laid.entries[seed as usize]);
            damage::flip_bits(&mut m, hash, 4096, 30, seed);
            damage::flip_bits(&mut m, entry, 248, 8, seed + 100);
            let written = write(&m);
            for args in [&["--format", "json"][..], &["--summary"], &["--expect"]] {
                let (code, _, stderr) = written.conntrack(args);
                assert!(matches!(code, 0 | 3 | 4), "exit {code}: {stderr}");
                assert!(!stderr.contains("panicked"), "{stderr}");
            }
        }
    }
}

/// What is behind the break is still allocated, so that it is seen, but not what it was.
#[test]
fn broken_lists_beside_the_table_are_said() {
    for list in ["unconfirmed", "dying"] {
        let mut m = Machine::build(Era::V5_10, PagingLevels::Four, &Scenario::conntrack());
        let whole = write(&m).document();
        assert_eq!(
            (whole.0, &whole.1["reconciliation"]["lists_broken"]),
            (0, &0.into())
        );
        hurt::wild_list(&mut m, list);
        let written = write(&m);
        for more in [&[][..], &["--summary"]] {
            let (code, stdout, _) = written.conntrack(&[more, &["--format", "json"]].concat());
            let document: Value = serde_json::from_str(&stdout).expect("JSON");
            assert_eq!(
                (code, &document["complete"]),
                (4, &Value::Bool(false)),
                "{list}"
            );
            let [was, is] = [&whole.1, &document].map(|document| &document["reconciliation"]);
            assert_eq!(is["lists_broken"], 1, "{list}");
            assert!(is[list].as_u64() < was[list].as_u64(), "{list}: {is}");
            let codes = document["warnings"].as_array().expect("warnings").iter();
            let ours = codes.filter(|one| one["code"] == "conntrack-list-broken");
            assert_eq!(ours.count(), 1, "{list}");
        }
    }
}

#[test]
fn a_cache_that_is_too_small_is_said_and_changes_nothing() {
    let machine = Machine::build(
        Era::V6_1,
        PagingLevels::Four,
        &Scenario::conntrack_many(20_000, 8192),
    );
    let written = write(&machine);
    let (code, expected, quiet) = written.conntrack(&["--format", "proc"]);
    assert_eq!(
        (code, quiet.contains("--max-memory")),
        (0, false),
        "{quiet}"
    );
    let (code, small, note) = written.conntrack(&["--format", "proc", "--max-memory", "1M"]);
    assert_eq!((code, small == expected), (0, true), "{note}");
    assert!(note.contains("the cache of 1.0 MiB"), "{note}");
    let (_, _, silent) = written.conntrack(&["--format", "proc", "--max-memory", "1M", "--quiet"]);
    assert_eq!(silent, "");
}

#[test]
fn expectations_that_the_dump_lacks_are_said() {
    const BUCKETS: u64 = 512;
    let scenario = Scenario::conntrack();
    let mut m = Machine::build(Era::V6_1, PagingLevels::Four, &scenario);
    let buckets = m.kernel.read_u64(m.kernel.symbol("nf_ct_expect_hash"));
    damage::exclude_address(&mut m, buckets);
    let written = write(&m);
    let lost = |document: &Value| {
        let warnings = document["warnings"].as_array().expect("warnings");
        let mut ours = warnings.iter();
        ours.find(|one| one["code"] == "expectations-lost")
            .map(|one| one["count"].clone())
    };
    // The buckets fill one page.
    for more in [&["--expect"][..], &[]] {
        let (code, stdout, _) = written.conntrack(&[more, &["--format", "json"]].concat());
        let document: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!((code, &document["complete"]), (4, &Value::Bool(false)));
        assert_eq!(lost(&document), Some(BUCKETS.into()));
        assert_eq!(document["expectations"], Value::Array(Vec::new()));
    }
    // And without damage there are some.
    let whole = write(&Machine::build(Era::V6_1, PagingLevels::Four, &scenario));
    let (code, stdout, _) = whole.conntrack(&["--expect", "--format", "json"]);
    let document: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, lost(&document)), (0, None));
    assert_ne!(document["expectations"], Value::Array(Vec::new()));
}
