//! `whatis` on real dumps against what drgn reads from them: the memory cgroups that objects are
//! charged to, super blocks, which are anonymous objects of kmalloc, and sockets; and what it says
//! where it could not see everything.

use std::path::Path;

use serde_json::Value;

use crate::support::{files, real_dumps, run, small_dump};

fn whatis(address: &str, vmcore: &Path, more: &[&str]) -> Value {
    let mut args = vec!["whatis", address, "--format", "json"];
    args.push(vmcore.to_str().expect("UTF-8"));
    args.extend(more);
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// Of each dump: cache, address, and the group by drgn's walk over `slab.memcg_data` or
/// `slab.obj_exts`, `obj_cgroup.memcg` and kernfs.
const CHARGED: &[(&str, &str, &str, Option<&str>)] = &[
    ("6.1-busy", "filp", "0xffff88ca0fdfad00", Some("/gateway")),
    ("6.1-busy", "filp", "0xffff88c9dbe69d00", Some("/events")),
    ("6.1-busy", "filp", "0xffff88ca0ff25f00", None),
    ("6.1-busy", "filp", "0xffff88ca0edc7900", Some("/ram")),
    ("6.1-busy", "filp", "0xffff88ca0edc7500", Some("/disk")),
    ("6.1-busy", "filp", "0xffff88ca0f69a300", Some("/wires")),
    ("6.1-busy", "cred_jar", "0xffff88ca0f079780", Some("/forks")),
    ("6.1-busy", "dentry", "0xffff88c9c2064480", Some("/")),
    ("7.2-busy", "filp", "0xffff8892443319c0", Some("/gateway")),
    ("7.2-busy", "filp", "0xffff889244dfa0c0", Some("/events")),
    ("7.2-busy", "filp", "0xffff8892463bfcc0", Some("/wires")),
    ("7.2-busy", "dentry", "0xffff889258880480", Some("/disk")),
    ("7.2-busy", "dentry", "0xffff889258d41240", Some("/ram")),
    ("7.2-busy", "dentry", "0xffff8892414fdcc0", None),
    (
        "7.2-busy",
        "vm_area_struct",
        "0xffff8892469a5000",
        Some("/forks"),
    ),
    (
        "7.2-busy",
        "kmalloc-cg-64",
        "0xffff889241e5f840",
        Some("/gateway"),
    ),
];

/// aarch64 declares the image as areas of vmalloc, and a module's variable lies in the module's.
#[test]
fn a_symbol_is_looked_at_and_not_the_area_around_it() {
    for dump in real_dumps(&["6.1", "6.12-arm64"]) {
        let (kernel, modules) = crate::modules::open(&dump);
        let of_module = vmleak::kernel::modules::resolve(&kernel, &modules, "nf_conntrack_max");
        let asked = [kernel.symbol("init_task"), of_module];
        for at in asked.map(|at| at.expect("a symbol")) {
            let vmlinux = dump.vmlinux.to_str().expect("UTF-8");
            let found = whatis(&at.to_string(), &dump.vmcore, &[vmlinux]);
            let there = kernel.space.read_u64(at).expect("it is in the dump");
            assert_ne!(there, 0);
            let word = &found["words"][0];
            assert_eq!(word["offset"], 0, "{} {at}", dump.name);
            assert_eq!(
                word["value"],
                format!("{there:#018x}"),
                "{} {at}",
                dump.name
            );
            assert!(
                found["references"].as_u64() < Some(1000),
                "{} {at}",
                dump.name
            );
        }
    }
}

#[test]
fn objects_are_charged_to_the_groups_that_drgn_finds() {
    for dump in real_dumps(&["6.1-busy", "7.2-busy"]) {
        let guests = dump.captured("cgroups");
        for (_, cache, address, group) in CHARGED.iter().filter(|row| row.0 == dump.name) {
            let what = format!("{} {cache} {address}", dump.name);
            let vmlinux = dump.vmlinux.to_str().expect("UTF-8");
            let found = whatis(address, &dump.vmcore, &[vmlinux]);
            assert_eq!(found["object"]["cache"], *cache, "{what}");
            let charged = &found["object"]["charged_to"];
            assert_eq!(charged["path"].as_str(), *group, "{what}");
            if let Some(group) = group {
                assert_eq!(charged["dying"], false, "{what}");
                let path = format!("/sys/fs/cgroup{}", group.trim_end_matches('/'));
                assert!(guests.lines().any(|line| line == path), "{what}");
            }
        }
    }
}

/// Addresses of `struct super_block` by drgn's walk over `super_blocks`.
const SUPER_BLOCKS: &[(&str, &str)] = &[
    ("6.1-busy", "0xffff88c9c185e800"),
    ("6.1-busy", "0xffff88c9c5297000"),
    ("7.2-busy", "0xffff889242675800"),
    ("7.2-busy", "0xffff8892450f4800"),
];

#[test]
fn anonymous_objects_get_the_type_of_the_members_that_point_to_them() {
    for dump in real_dumps(&["6.1-busy", "7.2-busy"]) {
        let vmlinux = dump.vmlinux.to_str().expect("UTF-8");
        for (_, address) in SUPER_BLOCKS.iter().filter(|row| row.0 == dump.name) {
            let no_vmlinux = ["--no-default-debug-directories"];
            for more in [&[vmlinux][..], &no_vmlinux] {
                let found = whatis(address, &dump.vmcore, more);
                let what = format!("{} {address} {more:?}", dump.name);
                let cache = found["object"]["cache"].as_str().expect("a cache");
                assert!(cache.starts_with("kmalloc"), "{what}: {cache}");
                let guess = &found["types"][0];
                assert_eq!(guess["name"], "super_block", "{what}");
                let members = guess["members"].as_array().expect("members");
                let by = |name: &str| members.iter().any(|member| member == name);
                assert!(
                    by("mount.mnt.mnt_sb") || by("inode.i_sb") || by("dentry.d_sb"),
                    "{what}: {members:?}"
                );
            }
        }
    }
}

/// By drgn, `sock.sk_socket` of all TCP sockets of this dump leads 64 bytes into the objects of
/// `sock_inode_cache`: to `sockfs_inode.socket`, and not to the start of a `struct socket_alloc`.
#[test]
fn a_socket_is_no_part_of_a_structure_that_does_not_fit() {
    for dump in real_dumps(&["7.2"]) {
        let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
        let list = ["objects", "TCP", "--state", "allocated", "--limit", "1"];
        let list = [&list[..], &["--format", "addrs"], &files].concat();
        let (code, stdout, stderr) = run(&list);
        assert_eq!(code, 0, "{stderr}");
        let found = whatis(stdout.trim(), &dump.vmcore, &[files[1]]);
        assert_eq!(found["types"][0]["name"], "sock");
        let referrers = found["referrers"].as_array().expect("referrers").iter();
        let members = referrers.filter_map(|referrer| referrer["member"].as_str());
        let members: Vec<&str> = members.collect();
        assert!(members.contains(&"sockfs_inode.socket.sk"), "{members:?}");
        assert!(!members.iter().any(|m| m.contains("fasync")), "{members:?}");
    }
}

/// Only references that objects keep are dropped: what they lead to may be reachable.
#[test]
fn what_could_not_be_followed_is_not_called_unreachable() {
    let dump = small_dump();
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let ask = |address: &str, more: &[&str]| {
        let args = [&["whatis", address, "--format", "json"], &files[..], more].concat();
        let (code, stdout, stderr) = run(&args);
        let found: Value = serde_json::from_str(&stdout).expect(&stderr);
        (code, found)
    };
    let list = ["objects", "leaky_session", "--unreachable", "--limit", "1"];
    let (_, lost, _) = run(&[&list[..], &["--format", "addrs"], &files].concat());
    let list = ["objects", "dentry", "--state", "allocated"];
    let (_, dentries, _) = run(&[&list[..], &["--format", "addrs"], &files].concat());
    let (code, found) = ask(lost.trim(), &[]);
    assert_eq!((code, &found["complete"]), (0, &Value::Bool(true)));
    assert_eq!(found["trust"]["reliable"], true);
    assert_eq!(found["object"]["reachable"], false);
    let little = ["--max-memory", "64"];
    let (code, found) = ask(lost.trim(), &little);
    assert_eq!((code, &found["complete"]), (4, &Value::Bool(false)));
    assert_eq!(found["trust"]["reasons"][0]["code"], "out-of-memory");
    assert_eq!(found["object"]["reachable"], Value::Null);
    for dentry in dentries.lines().step_by(100) {
        let (code, found) = ask(dentry, &little);
        assert_eq!(code, 4);
        assert_ne!(found["object"]["reachable"], false, "{dentry}");
    }
    let list = [
        "objects",
        "leaky_session",
        "--unreachable",
        "--format",
        "json",
    ];
    let (code, stdout, _) = run(&[&list[..], &little, &files].concat());
    let found: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, &found["objects"]), (4, &Value::Array(vec![])));
    assert_eq!(found["warnings"][0]["code"], "unreachable-unknown");
}

/// Of each dump: what is asked, the page, and its owner as drgn finds it: in `i_pages` of the file's
/// inode, `stack_vm_area.pages` and `mm.pgd` of process 1.
const PAGES: &[(&str, &str, u64, [&str; 3])] = &[
    (
        "6.1",
        "pfn:28041",
        28_041,
        ["file", "page 0 of inode 984", "/cap/sysctl"],
    ),
    (
        "6.1",
        "0xffffefdac016bc00",
        23_280,
        ["file", "page 1 of inode 984", "/cap/sysctl"],
    ),
    ("6.1", "phys:0x11bd008", 4_541, ["kernel_stack", "", "init"]),
    ("6.1", "pfn:0x2498", 9_368, ["page_tables", "", "init"]),
    ("6.1-owners", "pfn:73439", 73_439, ["pipe", "", "keep-pipe"]),
    (
        "6.1-owners",
        "pfn:21510",
        21_510,
        ["file", "page 7 of inode 6", "/run/keep-deleted"],
    ),
    (
        "7.2",
        "pfn:272665",
        272_665,
        ["file", "page 1 of inode 938", "/cap/sysctl"],
    ),
    (
        "7.2",
        "0xfffffbd98052bc38",
        84_720,
        ["file", "page 1 of inode 940", "/cap/zoneinfo"],
    ),
    ("7.2", "pfn:4757", 4_757, ["kernel_stack", "", "init"]),
];

#[test]
fn pages_are_whose_drgn_says() {
    for dump in real_dumps(&["6.1", "6.1-owners", "7.2"]) {
        let of_dump =
            |row: &&(&str, &str, u64, [&str; 3])| format!("debian-{}", row.0) == dump.name;
        for (_, asked, pfn, [kind, name, who]) in PAGES.iter().filter(of_dump) {
            let what = format!("{} {asked}", dump.name);
            let vmlinux = dump.vmlinux.to_str().expect("UTF-8");
            let found = whatis(asked, &dump.vmcore, &[vmlinux]);
            let page = &found["page_at"];
            assert_eq!(page["pfn"], *pfn, "{what}");
            assert_eq!(page["zone"], "DMA32", "{what}");
            assert_eq!(found["page_structure"], asked.starts_with("0x"), "{what}");
            let owner = &page["owner"];
            assert_eq!(owner["kind"], *kind, "{what}");
            assert_eq!(owner["name"], *name, "{what}");
            match *kind {
                "file" => assert_eq!(owner["path"], *who, "{what}"),
                _ => assert_eq!(owner["comm"], *who, "{what}"),
            }
        }
    }
}

/// A number is no address: what points to nothing is not said to be pointed to.
#[test]
fn small_numbers_are_no_addresses() {
    let dump = small_dump();
    let (code, _, stderr) = run(&[&["whatis", "0x123"], &files(&dump)[..]].concat());
    assert_eq!(code, 2, "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
