use serde::Serialize;
use serde_json::Value;

use super::*;
use crate::addr::VirtAddr;
use crate::report::files::{FilesReport, FilesTotals};
use crate::report::ps::{GroupSum, MemorySum, PsReport};
use crate::subsys::fs::{FileFacts, MountFacts, Opener};
use crate::subsys::task::ProcessFacts;

fn redacted<T: Named + Serialize>(redactor: &mut Redactor, mut document: T) -> Value {
    document.redact(redactor);
    serde_json::to_value(document).expect("JSON")
}

fn process(comm: &str, cgroup: &str) -> ProcessFacts {
    ProcessFacts {
        pid: 7,
        ppid: None,
        comm: comm.to_owned(),
        state: Some('S'),
        kernel_thread: false,
        panicked: false,
        uid: None,
        threads: None,
        oom_score_adj: None,
        oom_badness: None,
        cgroup: Some(cgroup.to_owned()),
        start_seconds: None,
        start_time: None,
        address: VirtAddr(0),
        memory: None,
        shares_memory: false,
    }
}

fn mount(path: &str, kind: &str, device: &str) -> MountFacts {
    MountFacts {
        path: Some(path.to_owned()),
        kind: kind.to_owned(),
        device: device.to_owned(),
        inodes: 0,
        files: 0,
        cached_bytes: 0,
        swapped_bytes: 0,
        deleted_bytes: 0,
        shmem: false,
    }
}

#[test]
fn names_of_two_letters_go_and_equal_ones_have_the_same_stand_in() {
    let mut redactor = Redactor::default();
    let report = PsReport {
        processes: vec![
            process("sh", "/a"),
            process("held", "/"),
            process("sh", "/b"),
        ],
        totals: MemorySum::default(),
        kernel_threads: 0,
        cgroups: vec![GroupSum {
            name: "/b".to_owned(),
            sum: MemorySum::default(),
        }],
        users: vec![GroupSum {
            name: "0".to_owned(),
            sum: MemorySum::default(),
        }],
    };
    let told = redacted(&mut redactor, report);
    let comms = ["process-1", "process-2", "process-1"];
    for (number, comm) in comms.into_iter().enumerate() {
        assert_eq!(told["processes"][number]["comm"], comm);
    }
    assert_eq!(told["processes"][1]["cgroup"], "/");
    assert_eq!(told["processes"][2]["cgroup"], told["cgroups"][0]["name"]);
    assert_eq!(told["cgroups"][0]["name"], "cgroup-2");
    assert_eq!(told["users"][0]["name"], "0");
    // A state and a letter are none.
    assert_eq!(told["processes"][0]["state"], "S");
}

#[test]
fn of_a_path_nothing_is_left_and_kinds_of_file_systems_stay() {
    let mut redactor = Redactor::default();
    let file = FileFacts {
        path: Some("/srv/customer/secret/db".to_owned()),
        kind: "xfs".to_owned(),
        inode: 1,
        address: VirtAddr(0),
        cached_bytes: 0,
        swapped_bytes: 0,
        size: 0,
        deleted: false,
        shmem: false,
        openers: vec![Opener {
            pid: 1,
            comm: "db".to_owned(),
            fd: 3,
        }],
    };
    let report = FilesReport {
        totals: FilesTotals::default(),
        mounts: vec![
            mount("/srv", "xfs", "/dev/mapper/customer-srv"),
            mount("/srv/customer/secret", "nfs4", "filer:/customer"),
            mount("/run", "tmpfs", "tmpfs"),
        ],
        files: vec![file],
        segments: Vec::new(),
    };
    let told = redacted(&mut redactor, report);
    let text = told.to_string();
    for secret in ["srv", "customer", "secret", "filer", "\"db\""] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(told["mounts"][1]["kind"], "nfs4");
    assert_eq!(told["mounts"][2]["path"], "/run");
    assert_eq!(told["mounts"][2]["device"], "tmpfs");
    // The longer one, of which the shorter is the beginning; one that no document named; and a
    // directory of all machines with something of this one in it.
    for text in [
        "in /srv/customer/secret, too",
        "/srv/customer/other.",
        "open /srv: /srv/customer/secret/db is gone",
        "/sys/fs/cgroup/customer.slice",
        "see file:///srv/customer/secret",
    ] {
        let text = redactor.text(text);
        for secret in ["customer", "secret", "srv"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let stays = "see /proc/slabinfo and/or /sys/kernel/slab; 5/10";
    assert_eq!(redactor.text(stays), stays);
}

#[test]
fn the_words_of_the_program_stay_whatever_processes_are_called() {
    let mut redactor = Redactor::default();
    for comm in ["raw", "held", "data", "or", "tmpfs", "aio-max-nr", "web-1"] {
        redactor.learn_process(comm);
    }
    for stays in [
        "raw receive queue",
        "in flight, or held by the kernel",
        "fs.aio-max-nr 65536",
        "tmpfs and shared memory",
        "data-label",
    ] {
        assert_eq!(redactor.text(stays), stays);
    }
    // Where it is known to be a process, it goes.
    assert_eq!(
        redactor.text("0.0.0.0:80 of raw (pid 12) accepts none; held[7] and web-1 do."),
        "0.0.0.0:80 of process-1 (pid 12) accepts none; process-2[7] and process-7 do."
    );
}

#[test]
fn texts_of_a_known_form_have_their_names_replaced_alone() {
    let mut redactor = Redactor::default();
    let mut told = |text: &str, change: fn(&mut Redactor, &mut String)| {
        let mut text = text.to_owned();
        change(&mut redactor, &mut text);
        text
    };
    type Treat = fn(&mut Redactor, &mut String);
    let cases: [(&str, Treat, &str); 8] = [
        ("task Web Content[12]", Redactor::task, "task process-1[12]"),
        ("stack of a[b][3]", Redactor::task, "stack of process-2[3]"),
        (
            "live_sessions [leaky]",
            Redactor::task,
            "live_sessions [leaky]",
        ),
        (
            "a of b (pid 5)",
            Redactor::process_and_pid,
            "process-3 (pid 5)",
        ),
        (
            "bpf map flows (hash) of agent (pid 9)",
            Redactor::owner,
            "bpf map map-1 (hash) of process-4 (pid 9)",
        ),
        (
            "packet ring (pid 9)",
            Redactor::owner,
            "packet ring (pid 9)",
        ),
        ("kernel_clone", Redactor::owner, "kernel_clone"),
        (
            "number 3 (array)",
            Redactor::map_and_kind,
            "number 3 (array)",
        ),
    ];
    for (text, change, expected) in cases {
        assert_eq!(told(text, change), expected);
    }
}

#[test]
fn a_file_that_was_named_without_its_directory_goes_too() {
    let mut redactor = Redactor::default();
    redactor.learn_path("vmcore");
    redactor.learn_path("customer/vmlinux");
    assert_eq!(
        redactor.text("vmcore: cut short, as a vmcore may be; customer/vmlinux is no vmlinux"),
        "path-1: cut short, as a vmcore may be; path-2 is no vmlinux"
    );
}
