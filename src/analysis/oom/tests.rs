//! Reports in the kernel's formats.

use super::*;

/// In the kernel's formats: a global kill of 6.12 behind one of a control group of 5.10.
const LOG: &str = "\
usb 1-1: new device\n\
hog invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=-500\n\
memory: usage 10240kB, limit 10240kB, failcnt 22\n\
Tasks state (memory values in pages):\n\
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n\
[    512]  1000   512     4096     2500    61440        0          -500 hog (x) y\n\
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=hog,pid=512,uid=1000\n\
Memory cgroup out of memory: Killed process 512 (hog (x) y) total-vm:16384kB, anon-rss:9000kB, file-rss:1000kB, shmem-rss:0kB, UID:1000 pgtables:60kB oom_score_adj:-500\n\
oom_reaper: reaped process 512 (hog (x) y), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB\n\
Mem-Info:\n\
active_anon:77 inactive_anon:0 isolated_anon:0\n\
sh invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=2, oom_score_adj=0\n\
CPU: 1 UID: 0 PID: 1 Comm: sh Not tainted 6.12.0 #1\n\
Mem-Info:\n\
active_anon:10 inactive_anon:20 isolated_anon:0\n\
 slab_reclaimable:1854 slab_unreclaimable:154321\n\
Node 0 active_anon:40kB inactive_anon:80kB all_unreclaimable? no\n\
Node 0 DMA32 free:5000kB boost:0kB min:4800kB low:6000kB high:7200kB\n\
lowmem_reserve[]: 0 0 0 0 0\n\
Node 0 DMA32: 12*4kB (UM) 1*8kB (U) = 56kB\n\
Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB\n\
6334 total pagecache pages\n\
196617 pages RAM\n\
Unreclaimable slab info:\n\
Name                      Used          Total\n\
kmalloc-256           600000KB     600100KB\n\
Tasks state (memory values in pages):\n\
[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name\n\
[     80]     0    80     1100      200      150       50         0    45056        0             0 sh\n\
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=sh,pid=80,uid=0\n\
Out of memory: Killed process 80 (sh) total-vm:4400kB, anon-rss:600kB, file-rss:200kB, shmem-rss:0kB, UID:0 pgtables:44kB oom_score_adj:0";

fn log(text: &str) -> Vec<LogRecord> {
    text.lines()
        .enumerate()
        .map(|(seq, line)| LogRecord {
            place: None,
            seq: seq as u64,
            ts_nsec: seq as u64 * 1_000_000_000,
            level: 4,
            facility: 0,
            caller: None,
            subsystem: None,
            device: None,
            text: line.to_owned(),
        })
        .collect()
}

#[test]
fn two_reports_in_a_log() {
    let reports = reports(&log(LOG));
    let [group, global] = &reports[..] else {
        panic!("{} reports", reports.len());
    };
    assert_eq!(group.time, 1.0);
    assert_eq!(group.invoked_by.as_deref(), Some("hog"));
    assert_eq!(group.memcg.as_deref(), Some("/a"));
    assert_eq!(group.tasks[0].name, "hog (x) y");
    assert_eq!(group.tasks[0].columns["oom_score_adj"], -500);
    assert_eq!(group.killed[0].name, "hog (x) y");
    assert_eq!(group.killed[0].numbers["anon-rss"], 9000);
    assert!(
        group.meminfo.is_empty(),
        "what follows the kill is another's"
    );

    assert_eq!(global.order, Some(2));
    assert_eq!(
        global.gfp_mask.as_deref(),
        Some("0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)")
    );
    assert_eq!(global.meminfo["slab_unreclaimable"], 154_321);
    assert_eq!(global.meminfo["pages RAM"], 196_617);
    let zones: Vec<&str> = global.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(zones, ["Node 0", "Node 0 DMA32"]);
    assert_eq!(global.zones[1].kb["min"], 4800);
    assert_eq!(global.slabs.len(), 1);
    assert_eq!(global.slabs[0].used_kb, 600_000);
    assert_eq!(global.tasks[0].columns["rss_anon"], 150);
    assert_eq!(global.killed[0].pid, 80);
}

#[test]
fn a_report_without_its_beginning_and_one_without_its_end() {
    let from = LOG.find("Tasks state").unwrap();
    let to = LOG.rfind("oom-kill:").unwrap();
    let reports = reports(&log(&LOG[from..to]));
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].invoked_by, None);
    assert_eq!(reports[0].tasks.len(), 1);
    assert!(reports[1].killed.is_empty());
    assert_eq!(reports[1].tasks.len(), 1);
}

#[test]
fn nonsense_is_passed_over() {
    for text in [
        "Killed process",
        "Out of memory: Killed process x (",
        "[ ]",
        "oom-kill:=,=",
    ] {
        assert!(reports(&log(text)).iter().all(|r| r.killed.is_empty()));
    }
    assert!(reports(&log("a Killed process 1 (x) total-vm:1kB")).is_empty());
}
