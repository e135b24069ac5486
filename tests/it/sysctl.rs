//! `sysctl` against what `sysctl -a` said in the guest some seconds before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run, small_dump};

const RELEASES: [&str; 5] = ["5.10", "6.1", "6.12", "7.2", "6.12-arm64"];

/// Names whose lines may differ, each with the reason.
const CHANGE: [(&str, &str); 11] = [
    ("fs.dentry-state", "files are looked up all the time"),
    ("fs.file-nr", "files are opened all the time"),
    ("fs.inode-nr", "inodes come and go with files"),
    ("fs.inode-state", "inodes come and go with files"),
    (
        "kernel.ftrace_enabled",
        "kexec into the capture kernel ends tracing",
    ),
    ("kernel.ns_last_pid", "each process has a new number"),
    (
        "kernel.printk",
        "the panic lets all messages to the console",
    ),
    ("kernel.random.uuid", "raw: made anew at each reading"),
    (
        "kernel.sched_domain.cpu0.domain0.max_newidle_lb_cost",
        "measured by the scheduler",
    ),
    (
        "kernel.sched_domain.cpu1.domain0.max_newidle_lb_cost",
        "measured by the scheduler",
    ),
    (
        "kernel.sysrq",
        "the guest's script enables it for the crash",
    ),
];

fn sysctl(dump: &RealDump, more: &[&str]) -> String {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) = run(&[&["sysctl"], &files[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

fn document(dump: &RealDump, more: &[&str]) -> Value {
    let text = sysctl(dump, &[&["--format", "json"], more].concat());
    serde_json::from_str(&text).expect("JSON")
}

/// Values by name, one for each line.
fn by_name(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(" = ").expect("a line of sysctl -a");
        all.entry(name).or_default().push(value);
    }
    all
}

/// Names in the order in which they come.
fn names(text: &str) -> Vec<&str> {
    let all = text.lines().filter_map(|line| line.split_once(" = "));
    let mut names: Vec<&str> = all.map(|(name, _)| name).collect();
    names.dedup();
    names
}

#[test]
fn real_dumps_give_the_lines_of_sysctl_a() {
    for dump in real_dumps(&RELEASES) {
        let (ours, said) = (sysctl(&dump, &[]), dump.captured("sysctl"));
        assert_eq!(names(&ours), names(&said), "{}", dump.name);
        let lines = said.lines().count();
        let (ours, said) = (by_name(&ours), by_name(&said));
        let other: Vec<&str> = said
            .iter()
            .filter(|(name, value)| ours.get(*name) != Some(*value))
            .map(|(name, _)| *name)
            .collect();
        for name in &other {
            // Connections end while that guest, emulated, says the rest.
            let ends = dump.name.ends_with("arm64") && *name == "net.netfilter.nf_conntrack_count";
            assert!(
                ends || CHANGE.iter().any(|(known, _)| known == name),
                "{}: {name}: {:?}, the guest said {:?}",
                dump.name,
                ours[name],
                said[name]
            );
        }
        assert!(other.len() * 50 <= lines, "{}: {other:?}", dump.name);
    }
}

#[test]
fn only_what_has_no_value_is_raw() {
    for dump in real_dumps(&RELEASES) {
        let document = document(&dump, &[]);
        assert_eq!(document["complete"], true, "{}", dump.name);
        let all = document["sysctls"].as_array().expect("sysctls");
        let raw: BTreeSet<&str> = all
            .iter()
            .filter(|entry| entry["raw"] == true)
            .map(|entry| entry["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(raw, BTreeSet::from(["kernel.random.uuid"]), "{}", dump.name);
        for entry in all {
            assert!(entry["handler"].is_string(), "{entry}");
            let table = entry["table"].as_str().expect("an address");
            assert!(table.starts_with("0xffff"), "{entry}");
        }
    }
}

/// Each namespace has values of its own; the guest said what connection tracking had in two.
#[test]
fn every_network_namespace_has_its_own() {
    for dump in real_dumps(&RELEASES) {
        let document = document(&dump, &["net.ipv4.ip_forward", "net.core.somaxconn"]);
        let all = document["sysctls"].as_array().expect("sysctls");
        let forward = all.iter().filter(|e| e["name"] == "net.ipv4.ip_forward");
        let inums: BTreeSet<u64> = forward.filter_map(|e| e["netns"].as_u64()).collect();
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let (_, tracked, _) =
            run(&[&["conntrack", "--summary", "--format", "json"], &files[..]].concat());
        let tracked: Value = serde_json::from_str(&tracked).expect("JSON");
        let known: BTreeSet<u64> = tracked["namespaces"]
            .as_array()
            .expect("namespaces")
            .iter()
            .filter_map(|ns| ns["inum"].as_u64())
            .collect();
        assert_eq!(inums, known, "{}", dump.name);
        assert!(inums.len() > 1, "{}", dump.name);
        for inum in inums {
            let inum = inum.to_string();
            let one = sysctl(
                &dump,
                &["net.ipv4.ip_forward", "kernel.ostype", "--netns", &inum],
            );
            assert_eq!(names(&one), ["kernel.ostype", "net.ipv4.ip_forward"]);
        }
    }
}

#[test]
fn without_a_vmlinux_the_lines_are_the_same() {
    for dump in real_dumps(&RELEASES) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, own, stderr) = run(&["sysctl", vmcore, "--no-default-debug-directories"]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        assert!(own == sysctl(&dump, &[]), "{}: other lines", dump.name);
    }
}

#[test]
fn patterns_choose_and_unknown_ones_are_said() {
    let dump = small_dump();
    let all = sysctl(&dump, &[]);
    let below: Vec<&str> = all.lines().filter(|l| l.starts_with("vm.")).collect();
    assert!(below.len() > 10);
    let chosen = sysctl(&dump, &["vm"]);
    assert_eq!(chosen.lines().collect::<Vec<_>>(), below);
    let tcp = sysctl(&dump, &["*tcp_?mem", "kernel/ostype"]);
    assert_eq!(
        names(&tcp),
        ["kernel.ostype", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]
    );
    assert!(tcp.starts_with("kernel.ostype = Linux\n"));
    let [vmcore, vmlinux] = [&dump.vmcore, &dump.vmlinux].map(|p| p.to_str().expect("UTF-8"));
    let (code, _, stderr) = run(&["sysctl", vmcore, vmlinux, "net.none"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("net.none"), "{stderr}");
    let (code, _, stderr) = run(&["sysctl", "net.ipv4"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("no dump"), "{stderr}");
}

/// The small dump's vmlinux lacks the size of a socket buffer, by which bytes become packets.
#[test]
fn what_can_not_be_decoded_is_raw_bytes_and_says_why() {
    let dump = small_dump();
    let below = "net.ipv4.neigh.lo.unres_qlen*";
    let document = document(&dump, &[below, "--netns", "initial"]);
    let all = document["sysctls"].as_array().expect("sysctls");
    let [packets, bytes] = all.as_slice() else {
        panic!("{all:?}")
    };
    let number: u32 = bytes["value"].as_str().expect("text").parse().expect("one");
    let hex: Vec<String> = number
        .to_le_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(packets["raw"], true, "{packets}");
    assert_eq!(packets["value"], hex.join(" "));
    assert!(
        packets["note"]
            .as_str()
            .expect("why")
            .contains("skb_shared_info")
    );
    let text = sysctl(&dump, &[below]);
    assert!(text.contains(" (raw: "), "{text}");
}

/// Against what the guest printed of the same limits.
#[test]
fn the_check_judges_by_the_guests_own_values() {
    for dump in real_dumps(&RELEASES) {
        let said = dump.captured("sysctl");
        let said = by_name(&said);
        let document = document(&dump, &["--check"]);
        let checks = document["checks"].as_array().expect("checks");
        let find = |name: &str| checks.iter().find(|check| check["name"] == name);
        assert!(checks.len() > 25, "{}: {}", dump.name, checks.len());
        for check in checks {
            let name = check["name"].as_str().expect("a name");
            assert_eq!(check["value"].as_str(), Some(said[name][0]), "{name}");
        }
        // The guest's script sets ten times and more what the kernel has (30 s).
        let udp = find("net.netfilter.nf_conntrack_udp_timeout").expect("UDP");
        assert_eq!(udp["level"], "notice", "{udp}");
        let max = find("net.netfilter.nf_conntrack_max").expect("the limit");
        assert_eq!(max["level"], "ok", "{max}");
        let text = sysctl(&dump, &["--check"]);
        assert!(text.contains("net.ipv4.tcp_mem"), "{text}");
    }
}

/// What drgn reads of `tcp_prot` and `udp_prot` with each CPU's part, and of `tcp_orphan_count`.
#[test]
fn use_is_what_drgn_reads() {
    for (release, tcp, udp) in [("5.10", 20, 3), ("6.1", 0, 3), ("7.2", 0, 3)] {
        for dump in real_dumps(&[release]) {
            let usage = &document(&dump, &["--check"])["usage"];
            let found = [
                &usage["tcp_pages"],
                &usage["udp_pages"],
                &usage["tcp_orphans"],
            ];
            assert_eq!(found, [tcp, udp, 0], "{release}: {usage}");
        }
    }
}

/// Each namespace is judged by its own count, the initial one by what the guest said of itself.
#[test]
fn limits_of_each_namespace_are_judged_by_its_own_use() {
    for dump in real_dumps(&["6.1"]) {
        let checks = document(&dump, &["--check", "--netns", "all"])["checks"].clone();
        let checks = checks.as_array().expect("checks");
        let max = "net.netfilter.nf_conntrack_max";
        let mut verdicts: Vec<&str> = checks
            .iter()
            .filter(|check| check["name"] == max)
            .map(|check| check["verdict"].as_str().expect("words"))
            .collect();
        verdicts.sort_unstable();
        let said = dump.captured("sysctl");
        let count = by_name(&said)["net.netfilter.nf_conntrack_count"][0];
        assert_eq!((verdicts.len(), count), (3, "2860"));
        assert!(
            verdicts.iter().any(|of| of.starts_with("2860 of 16384 ")),
            "{verdicts:?}"
        );
        assert!(
            verdicts.iter().any(|of| of.starts_with("590 of 16384 ")),
            "{verdicts:?}"
        );
        let machine = checks.iter().find(|check| check["name"] == "fs.file-max");
        assert!(machine.expect("it")["netns"].is_null());
    }
}
