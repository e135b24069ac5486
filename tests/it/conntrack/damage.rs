//! Damage to the connection table and to the lists beside it: what is lost is counted, what is not
//! is all there.

use std::collections::BTreeSet;

use serde_json::Value;
use vmleak_synth::damage::{self, conntrack as hurt};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::conntrack::synthetic::{addresses, write};

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

/// A table that is read in the order of the file, since the cache has no room for it, loses what it
/// loses when it is read in its own order.
#[test]
fn in_the_order_of_the_file_the_same_is_lost() {
    let scenario = Scenario::conntrack_many(4000, 2048);
    type Hurt = (&'static str, fn(&mut Machine));
    let hurts: [Hurt; 8] = [
        ("a cycle", |m| {
            hurt::chain_cycle(m, hurt::bucket_with(m, 3, 0));
        }),
        ("a wild node", |m| {
            hurt::wild_node(m, hurt::bucket_with(m, 4, 1), hurt::WILD);
        }),
        ("a wild head", |m| {
            hurt::wild_head(m, hurt::bucket_with(m, 3, 2));
        }),
        ("a foreign marker", |m| {
            hurt::foreign_marker(m, hurt::bucket_with(m, 3, 3), 1);
        }),
        ("no buckets", |m| {
            hurt::exclude_buckets(m, 3);
        }),
        ("wild extensions", |m| {
            hurt::wild_ext(m, 77);
            hurt::wild_ext_offset(m, 777);
        }),
        ("no connection", |m| {
            let conn = m.conntrack.as_ref().expect("a table").entries[1234];
            damage::exclude_address(m, conn);
        }),
        ("no extensions", |m| {
            let ext = m.conntrack.as_ref().expect("a table").exts[2345];
            damage::exclude_address(m, ext);
        }),
    ];
    for (what, hurt) in hurts {
        let mut machine = Machine::build(Era::V6_1, PagingLevels::Four, &scenario);
        hurt(&mut machine);
        let written = write(&machine);
        let read = |memory: &str| {
            let (code, stdout, _) = written.conntrack(&["--format=json", "--max-memory", memory]);
            let mut document: Value = serde_json::from_str(&stdout).expect("JSON");
            for of_the_run in ["run", "coverage"] {
                document[of_the_run].take();
            }
            (code, document)
        };
        let (in_its_order, in_the_files) = (read("512M"), read("1M"));
        assert_eq!(in_its_order.0, 4, "{what}");
        assert!(in_its_order == in_the_files, "{what}");
    }
}

#[test]
fn random_damage_ends_honestly() {
    for era in Era::ALL {
        let untouched = Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
        let whole = addresses(&write(&untouched).document().1);
        for seed in 0..8 {
            let mut m = Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
            let laid = m.conntrack.as_ref().expect("a table");
            let (hash, entry) = (laid.hash, laid.entries[seed as usize]);
            damage::flip_bits(&mut m, hash, 4096, 30, seed);
            damage::flip_bits(&mut m, entry, 248, 8, seed + 100);
            let written = write(&m);
            for args in [&["--format", "json"][..], &["--summary"], &["--expect"]] {
                let (code, stdout, stderr) = written.conntrack(args);
                assert!(!stderr.contains("panicked"), "{stderr}");
                match code {
                    // One line that says why.
                    3 => assert_eq!(
                        (stdout.as_str(), stderr.lines().count()),
                        ("", 1),
                        "{stderr}"
                    ),
                    4 => assert!(stderr.contains("vmleak: warning: "), "{args:?}: {stderr}"),
                    _ => assert_eq!(code, 0, "{stderr}"),
                }
                if code == 0 && args.contains(&"json") {
                    // Bits that say what a connection is can't be told from true ones; but none
                    // is lost without a word.
                    let document: Value = serde_json::from_str(&stdout).expect("JSON");
                    assert_eq!(addresses(&document), whole, "{} {seed}", era.name());
                }
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
