//! The tree of memory cgroups and what is charged to them, by the guests' own files.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{json, number, printed, real_dumps, run};

const NOWHERE: &str = "--no-default-debug-directories";

fn memcgs(document: &Value) -> &Vec<Value> {
    document["memcgs"].as_array().expect("memcgs")
}

/// The tree, by the guest's own directories and its cgroup.stat.
#[test]
fn memory_cgroups_are_those_of_the_guest() {
    for dump in real_dumps(&["6.1-busy", "7.2-busy", "6.1-dentries", "6.1-leaky"]) {
        let document = json(&printed(&dump, "memcg", &["--format", "json"]));
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
        let document = json(&printed(&dump, "memcg", &["--format", "json"]));
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
        let with = json(&printed(&dump, "memcg", &["--format", "json"]));
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, stdout, stderr) = run(&["memcg", "--format", "json", vmcore, NOWHERE]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        assert_eq!(json(&stdout)["memcgs"], with["memcgs"], "{}", dump.name);
    }
}

#[test]
fn memory_cgroups_of_5_10_are_read() {
    for dump in real_dumps(&["5.10"]) {
        let document = json(&printed(&dump, "memcg", &["--format", "json"]));
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
