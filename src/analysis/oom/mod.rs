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
mod tests;
