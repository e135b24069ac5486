//! Reports of the out-of-memory killer in the log, parsed (mm/oom_kill.c, mm/show_mem.c).
//!
//! Input: the log's records. Output: one [`OomReport`] each. The lines of a report may stand
//! between others; what is not known is passed over. A report whose beginning the ring has
//! overwritten is one all the same.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subsys::log::LogRecord;

/// One task of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OomTask {
    /// Process number.
    pub pid: u64,
    /// Its name.
    pub name: String,
    /// All other columns by the kernel's name: `uid`, `tgid`, `total_vm`, `rss`, … in pages
    /// but for `pgtables_bytes`.
    #[serde(flatten)]
    pub columns: BTreeMap<String, i64>,
}

/// One line of `Unreclaimable slab info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named as its columns
pub struct OomSlab {
    pub name: String,
    pub used_kb: u64,
    pub total_kb: u64,
}

/// A node or zone of the mem-info block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OomZone {
    /// `Node 0`, `Node 0 DMA32`.
    pub name: String,
    /// Its numbers in KiB by the kernel's names.
    pub kb: BTreeMap<String, u64>,
}

/// Who was killed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named by the contract
pub struct OomVictim {
    pub pid: u64,
    pub name: String,
    /// `total-vm`, `anon-rss`, `file-rss`, `shmem-rss`, `pgtables` in KiB, `UID`,
    /// `oom_score_adj`.
    pub numbers: BTreeMap<String, i64>,
}

/// One report.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct OomReport {
    /// Seconds since boot of its first line.
    pub time: f64,
    /// Who asked for memory; `None` if that line is lost.
    pub invoked_by: Option<String>,
    /// What it asked for: `0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)`.
    pub gfp_mask: Option<String>,
    /// Logarithm of the number of pages.
    pub order: Option<i64>,
    /// `CONSTRAINT_NONE`, `CONSTRAINT_MEMCG`, ….
    pub constraint: Option<String>,
    /// The control group that was full.
    pub memcg: Option<String>,
    /// Counters of the mem-info block, in pages.
    pub meminfo: BTreeMap<String, u64>,
    /// Its nodes and zones.
    pub zones: Vec<OomZone>,
    /// Unreclaimable slab caches that it lists.
    pub slabs: Vec<OomSlab>,
    /// The table of tasks.
    pub tasks: Vec<OomTask>,
    /// Who was killed, in the order of killing.
    pub killed: Vec<OomVictim>,
}

/// All reports of a log.
pub fn reports(records: &[LogRecord]) -> Vec<OomReport> {
    let mut parser = Parser::default();
    for record in records.iter().filter(|record| record.facility == 0) {
        for line in record.text.lines() {
            parser.line(line, record.ts_nsec);
        }
    }
    parser.close();
    parser.done
}

/// Which table the lines belong to.
#[derive(Debug, Default)]
enum Section {
    #[default]
    None,
    Meminfo,
    Slabs,
    /// With the names of its columns.
    Tasks(Vec<String>),
}

#[derive(Debug, Default)]
struct Parser {
    done: Vec<OomReport>,
    current: Option<OomReport>,
    section: Section,
}

impl Parser {
    fn close(&mut self) {
        self.done.extend(self.current.take());
        self.section = Section::None;
    }

    /// The report that a line belongs to which can only stand in one.
    fn report(&mut self, ts_nsec: u64) -> &mut OomReport {
        self.current.get_or_insert_with(|| OomReport {
            time: (ts_nsec / 1000) as f64 / 1e6,
            ..OomReport::default()
        })
    }

    fn line(&mut self, line: &str, ts_nsec: u64) {
        if let Some((name, request)) = line.split_once(" invoked oom-killer: ") {
            self.close();
            self.report(ts_nsec).invoked(name, request);
        } else if let Some(facts) = line.strip_prefix("oom-kill:") {
            self.section = Section::None;
            self.report(ts_nsec).constrained(facts);
        } else if let Some(victim) = killed(line) {
            self.section = Section::None;
            self.report(ts_nsec).killed.push(victim);
        } else if line.starts_with("Tasks state (memory values in pages)") {
            self.section = Section::None;
            self.report(ts_nsec);
        } else if let Some(report) = &mut self.current {
            // What comes behind the kill is no part of it any more.
            if report.killed.is_empty() {
                self.section = report.table_line(line, std::mem::take(&mut self.section));
            }
        }
    }
}

impl OomReport {
    fn invoked(&mut self, name: &str, request: &str) {
        self.invoked_by = Some(name.to_owned());
        let (mask, rest) = request.split_once(", order=").unwrap_or((request, ""));
        self.gfp_mask = mask.strip_prefix("gfp_mask=").map(str::to_owned);
        self.order = rest.split(',').next().and_then(|order| order.parse().ok());
    }

    /// `constraint=…,nodemask=…,oom_memcg=…,…`
    fn constrained(&mut self, facts: &str) {
        for (key, value) in facts.split(',').filter_map(|fact| fact.split_once('=')) {
            match key {
                "constraint" => self.constraint = Some(value.to_owned()),
                "oom_memcg" => self.memcg = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    /// A line of a table or the head of one; says which table the next line belongs to.
    fn table_line(&mut self, line: &str, section: Section) -> Section {
        match line.trim() {
            "Mem-Info:" => return Section::Meminfo,
            "Unreclaimable slab info:" => return Section::Slabs,
            _ => {}
        }
        if let Some(columns) = task_columns(line) {
            return Section::Tasks(columns);
        }
        match section {
            Section::Tasks(columns) => {
                self.tasks.extend(task(line, &columns));
                Section::Tasks(columns)
            }
            Section::Slabs => {
                self.slabs.extend(slab(line));
                Section::Slabs
            }
            Section::Meminfo => {
                self.memory_line(line);
                Section::Meminfo
            }
            Section::None => Section::None,
        }
    }

    fn memory_line(&mut self, line: &str) {
        let line = line.trim();
        if line.starts_with("Node ") {
            self.zones.extend(zone(line));
            return;
        }
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Ok(number) = first.parse()
            && rest.contains("page")
        {
            self.meminfo.insert(rest.to_owned(), number);
            return;
        }
        let numbers = line.split(' ').filter_map(|word| word.split_once(':'));
        for (name, number) in numbers {
            if let Ok(number) = number.parse() {
                self.meminfo.insert(name.to_owned(), number);
            }
        }
    }
}

/// `Node 0 DMA32 free:12kB min:34kB …`; not the lists of free blocks and huge pages.
fn zone(line: &str) -> Option<OomZone> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let named = words.iter().take_while(|word| !word.contains([':', '=']));
    let name: Vec<&str> = named.copied().collect();
    let kb: BTreeMap<String, u64> = words
        .iter()
        .filter_map(|word| {
            let (key, value) = word.split_once(':')?;
            Some((key.to_owned(), value.strip_suffix("kB")?.parse().ok()?))
        })
        .collect();
    (!kb.is_empty()).then(|| OomZone {
        name: name.join(" "),
        kb,
    })
}

/// `kmalloc-256   12KB   34KB`
fn slab(line: &str) -> Option<OomSlab> {
    let mut words = line.split_whitespace();
    let (name, used, total) = (words.next()?, words.next()?, words.next()?);
    let kb = |text: &str| text.strip_suffix("KB")?.parse().ok();
    Some(OomSlab {
        name: name.to_owned(),
        used_kb: kb(used)?,
        total_kb: kb(total)?,
    })
}

/// `[  pid  ]   uid  tgid total_vm …`: the columns behind the number.
fn task_columns(line: &str) -> Option<Vec<String>> {
    let (pid, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    (pid.trim() == "pid").then(|| rest.split_whitespace().map(str::to_owned).collect())
}

/// A row; the name comes last and may have blanks.
fn task(line: &str, columns: &[String]) -> Option<OomTask> {
    let (pid, mut rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let mut task = OomTask {
        pid: pid.trim().parse().ok()?,
        ..OomTask::default()
    };
    for column in columns.iter().filter(|column| *column != "name") {
        let (value, behind) = rest.trim_start().split_once(' ')?;
        task.columns.insert(column.clone(), value.parse().ok()?);
        rest = behind;
    }
    task.name = rest.trim().to_owned();
    Some(task)
}

/// `Out of memory: Killed process 12 (name) total-vm:34kB, …`, and as memory cgroups have it.
fn killed(line: &str) -> Option<OomVictim> {
    let (why, victim) = line.split_once("Killed process ")?;
    if !why.to_ascii_lowercase().contains("out of memory") {
        return None;
    }
    let (pid, rest) = victim.split_once(" (")?;
    let end = rest.find(") total-vm:").or_else(|| rest.rfind(')'))?;
    let (name, numbers) = rest.split_at_checked(end)?;
    let numbers = numbers
        .split([' ', ','])
        .filter_map(|word| word.split_once(':'))
        .filter_map(|(key, value)| {
            let value = value.strip_suffix("kB").unwrap_or(value);
            Some((key.to_owned(), value.parse().ok()?))
        })
        .collect();
    Some(OomVictim {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        numbers,
    })
}

#[cfg(test)]
mod tests {
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
}
