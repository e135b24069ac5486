//! Structures of one release with members of another, as distributors mix them: each is read
//! exactly, or refused by name, and never guessed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::elf;
use vmleak_synth::{Change, Era, Freelist, Machine, Options, PagingLevels, Scenario};

use super::synthetic::assert_truth;
use crate::support::{run, slabs_json};

/// A kernel by what it has of others. From the sources of RHEL's kernels.
const MIXTURES: [(&str, Era, &[Change]); 5] = [
    // Those of 5.11 in 4.18: no cache for each cgroup, one word for whoever is charged.
    (
        "RHEL 8.4 to 8.10",
        Era::V5_10,
        &[
            Change::Without("page", "mem_cgroup"),
            Change::Renamed("page", "obj_cgroups", "memcg_data"),
        ],
    ),
    // struct slab and folios, but orders where they were before.
    (
        "RHEL 9.2, 9.3",
        Era::V6_1,
        &[
            Change::Without("folio", "_folio_order"),
            Change::Without("folio", "_flags_1"),
        ],
    ),
    // All three places of the order, and one that counts.
    ("RHEL 9.4", Era::V6_1, &[]),
    (
        "RHEL 9.5",
        Era::V6_1,
        &[Change::Without("page", "compound_order")],
    ),
    // Orders as in 6.6 where slabs are marked by a flag.
    (
        "RHEL 9.6",
        Era::V6_1,
        &[
            Change::Without("folio", "_folio_order"),
            Change::Without("page", "compound_order"),
        ],
    ),
];

struct Files {
    _folder: tempfile::TempDir,
    dump: PathBuf,
    types: PathBuf,
}

impl Files {
    fn of(machine: &Machine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let save = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("a file writes");
            path
        };
        let dump = save("dump", &elf::elf(machine, elf::Options::default()));
        let types = save("vmlinux", &vmlinux(machine, VmlinuxOptions::new(5)));
        Self {
            dump,
            types,
            _folder: folder,
        }
    }

    fn slabs(&self) -> (i32, Value) {
        slabs_json(&[&self.dump, &self.types], &[])
    }

    fn text(path: &Path) -> &str {
        path.to_str().expect("UTF-8")
    }

    fn info(&self) -> Value {
        let files = [&self.dump, &self.types].map(|path| Self::text(path));
        let (code, stdout, stderr) = run(&["info", "--format", "json", files[0], files[1]]);
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).expect("JSON")
    }
}

fn mixed(era: Era, changes: &'static [Change]) -> Machine {
    let mut options = Options::new(era, PagingLevels::Four);
    options.changes = changes;
    let standard = Scenario::standard();
    let scenario = match era.has_memcg_children() {
        true => standard.with_memcgs().with_freelist(Freelist::Hardened),
        false => standard,
    };
    Machine::with(options, &scenario)
}

#[test]
fn mixtures_are_read_as_any_other_kernel() {
    for (name, era, changes) in MIXTURES {
        let machine = mixed(era, changes);
        let (code, document) = Files::of(&machine).slabs();
        assert_eq!(code, 0, "{name}: {:?}", document["warnings"]);
        assert_truth(&document, machine.truth(), name);
    }
}

/// 9.6's orders came with 6.6, its modules were gone by 6.4.
#[test]
fn info_tells_backports_from_a_release() {
    for (name, wanted) in [
        (
            "RHEL 9.2, 9.3",
            json!({ "kind": "upstream", "since": [5, 17], "until": [6, 0] }),
        ),
        (
            "RHEL 9.6",
            json!({ "kind": "backports", "newest": [6, 6], "oldest": [6, 3] }),
        ),
    ] {
        let (_, era, changes) = MIXTURES
            .into_iter()
            .find(|mixture| mixture.0 == name)
            .expect("it is one of them");
        let mut options = Options::new(era, PagingLevels::Four);
        options.changes = changes;
        let machine = Machine::with(options, &Scenario::leaks(era));
        let info = Files::of(&machine).info();
        assert_eq!(info["era"], wanted, "{name}: {:#}", info["shapes"]);
    }
}
