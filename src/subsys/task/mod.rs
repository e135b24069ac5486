//! Processes and kernel threads, and the memory that each has by the kernel's own counters.
//!
//! Layer: subsys. Input: the list of tasks. Output: [`TaskFacts`]. Invariants: an address space
//! that several processes share is counted once in sums; what can't be read of a process is
//! `None`, and the others go on. Nothing of user memory is needed: the counters are the kernel's.

mod mm;
mod state;

use rustc_hash::FxHashSet;
use serde::Serialize;

pub use self::mm::MmFacts;
use self::mm::MmReader;
use self::state::StateReader;
use super::mm::memcg::CgroupNames;
use super::system::panic_task_address;
use crate::addr::VirtAddr;
use crate::bytes::c_string;
use crate::kernel::layout::layout;
use crate::kernel::processes::{Process, Processes};
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/sched.h
    struct TaskLayout = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need tgid = "tgid",
        need comm = "comm",
        need flags = "flags",
        need mm = "mm",
        need signal = "signal",
        need real_parent = "real_parent",
        need cred = "real_cred",
        /// `state` up to 5.13 (commit 2f064a59a11f).
        need state = "__state" | "state",
        need exit_state = "exit_state",
        /// Nanoseconds since boot; `struct timespec` up to 3.16.
        maybe start = "start_boottime" | "real_start_time",
        /// With CONFIG_CGROUPS.
        maybe cgroups = "cgroups",
        /// What the thread has not yet added to its mm: up to 6.1 (commit f1a7941243c1).
        maybe rss_deltas = "rss_stat.count",
    }
}

layout! {
    /// include/linux/sched/signal.h
    struct SignalLayout = "signal_struct" in "kernel/fork.c" {
        need nr_threads = "nr_threads",
        need oom_score_adj = "oom_score_adj",
    }
}

layout! {
    /// include/linux/cred.h
    struct CredLayout = "cred" in "kernel/cred.c" {
        need uid = "uid",
    }
}

/// PF_KTHREAD (include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// One process, or a kernel thread.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProcessFacts {
    /// In the initial namespace.
    pub pid: u32,
    /// Of the process that is told of its end.
    pub ppid: Option<u32>,
    /// Its name, of 15 bytes at most.
    pub comm: String,
    /// The letter that `ps` shows.
    pub state: Option<char>,
    /// Whether it is a kernel thread.
    pub kernel_thread: bool,
    /// Whether the kernel died in it.
    pub panicked: bool,
    /// Real user id.
    pub uid: Option<u32>,
    /// Threads that have not exited.
    pub threads: Option<u64>,
    /// -1000 (never killed) to 1000.
    pub oom_score_adj: Option<i16>,
    /// What the out-of-memory killer compares, in pages: larger dies first (mm/oom_kill.c).
    /// `None` of what it spares.
    pub oom_badness: Option<i64>,
    /// Its cgroup's path: in the hierarchy of the memory controller, where that has one of its own.
    pub cgroup: Option<String>,
    /// Seconds after boot.
    pub start_seconds: Option<f64>,
    /// RFC 3339, UTC.
    pub start_time: Option<String>,
    /// Address of the leader's `task_struct`.
    pub address: VirtAddr,
    /// Its memory; `None` of kernel threads, and of processes that have given it back.
    #[serde(flatten)]
    pub memory: Option<MmFacts>,
    /// Whether a process before it in the list has the same address space.
    pub shares_memory: bool,
}

/// All of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskFacts {
    /// In the order of the kernel's list.
    pub processes: Vec<ProcessFacts>,
    /// Whether all were reached, and all of each could be read.
    pub complete: bool,
}

/// Reads all processes.
///
/// # Errors
/// If the kernel's types or symbols lack what tasks are made of.
pub fn collect(kernel: &Kernel) -> Result<TaskFacts, KernelError> {
    let processes = Processes::read(kernel)?;
    let reader = Reader::new(kernel)?;
    let (mut found, mut complete) = (Vec::new(), processes.complete);
    let mut spaces = FxHashSet::default();
    for process in &processes.list {
        match reader.read(process, &mut spaces, &mut complete) {
            Some(facts) => found.push(facts),
            None => complete = false,
        }
    }
    if !complete {
        kernel.diag.warn(
            "processes-lost",
            "not all processes, or not all of each, can be read: take the dump with kernel pages included",
        );
    }
    Ok(TaskFacts {
        processes: found,
        complete,
    })
}

struct Reader<'k> {
    kernel: &'k Kernel,
    task: TaskLayout,
    signal: SignalLayout,
    cred: CredLayout,
    state: StateReader,
    mm: MmReader<'k>,
    cgroups: Option<CgroupNames<'k>>,
    /// When the machine was booted, in seconds since 1970.
    booted: Option<f64>,
    panicked: Option<VirtAddr>,
}

impl<'k> Reader<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let task: TaskLayout = kernel.layout()?;
        let clock = super::clock::Clock::read(kernel)?;
        let booted = clock.and_then(|clock| Some(clock.now? as f64 - clock.uptime()?));
        Ok(Self {
            state: StateReader::new(task.start.is_some_and(|start| start.size > 8)),
            signal: kernel.layout()?,
            cred: kernel.layout()?,
            mm: MmReader::new(kernel)?,
            cgroups: task.cgroups.and_then(|_| CgroupNames::new(kernel).ok()),
            booted,
            panicked: panic_task_address(kernel),
            task,
            kernel,
        })
    }

    fn read(
        &self,
        process: &Process,
        spaces: &mut FxHashSet<VirtAddr>,
        complete: &mut bool,
    ) -> Option<ProcessFacts> {
        let (space, task) = (&self.kernel.space, &self.task);
        let record = space.read_bytes(process.leader, task.len).ok()?;
        // Of another structure: `None`, and no longer complete, if it can't be read.
        let mut part = |at: VirtAddr, len| {
            let bytes = space.read_bytes(at, len).ok();
            *complete &= bytes.is_some();
            bytes
        };
        let signal = VirtAddr(task.signal.get(&record));
        // It has exited, and waits to be reaped.
        let signal = match signal.is_null() {
            true => None,
            false => part(signal, self.signal.len),
        };
        let signal = signal.as_ref();
        let threads = signal.map(|record| self.signal.nr_threads.get(record));
        let adj = signal.map(|record| self.signal.oom_score_adj.get(record) as u16 as i16);
        let cred = part(VirtAddr(task.cred.get(&record)), self.cred.len);
        let uid = cred.map(|record| self.cred.uid.get(&record) as u32);
        let parent = VirtAddr(task.real_parent.get(&record));
        let ppid = space
            .read_u32(parent.plus(u64::from(task.tgid.offset)))
            .ok();
        *complete &= ppid.is_some();
        let comm_at = task.comm.offset as usize;
        let comm = record.get(comm_at..comm_at + task.comm.size as usize)?;
        // The leader may have exited before its threads (find_lock_task_mm, mm/oom_kill.c).
        let mm = process.threads.iter().find_map(|thread| {
            let at = thread.plus(u64::from(task.mm.offset));
            space.read_ptr(at).ok().filter(|mm| !mm.is_null())
        });
        let kernel_thread = task.flags.get(&record) & KERNEL_THREAD != 0;
        let memory = mm.filter(|_| !kernel_thread).map(|mm| {
            let deltas = task.rss_deltas.as_ref();
            self.mm.read(mm, deltas, &process.threads)
        });
        *complete &= !matches!(memory, Some(None));
        let memory = memory.flatten();
        let start = task.start.map(|start| start_seconds(&record, &start));
        let booted = self.booted;
        Some(ProcessFacts {
            pid: task.pid.get(&record) as u32,
            ppid,
            comm: c_string(comm),
            state: self
                .state
                .letter(task.state.get(&record), task.exit_state.get(&record)),
            kernel_thread,
            panicked: self
                .panicked
                .is_some_and(|at| process.threads.contains(&at)),
            uid,
            threads,
            oom_badness: memory
                .as_ref()
                .and_then(|memory| self.mm.badness(memory, adj?)),
            oom_score_adj: adj,
            cgroup: self.cgroup(&record),
            start_time: start
                .zip(booted)
                .and_then(|(start, booted)| time_text(start + booted)),
            start_seconds: start,
            address: process.leader,
            shares_memory: memory.is_some() && mm.is_some_and(|mm| !spaces.insert(mm)),
            memory,
        })
    }

    fn cgroup(&self, record: &[u8]) -> Option<String> {
        let set = VirtAddr(self.task.cgroups?.get(record));
        self.cgroups.as_ref()?.of_css_set(set)
    }
}

fn start_seconds(record: &[u8], start: &crate::kernel::layout::Field) -> f64 {
    let at = start.offset as usize;
    match start.size > 8 {
        // struct timespec: seconds, nanoseconds.
        true => {
            let part = |at| crate::bytes::u64_at(record, at).unwrap_or(0) as f64;
            part(at) + part(at + 8) / 1e9
        }
        false => start.get(record) as f64 / 1e9,
    }
}

fn time_text(seconds: f64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds as i64).ok()?;
    Some(time.to_string())
}
