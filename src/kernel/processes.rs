//! All processes and kernel threads, by the list that starts at `init_task`.

use super::layout::{Field, LayoutError, layout};
use super::{Kernel, KernelError, walk};
use crate::addr::VirtAddr;

layout! {
    /// include/linux/sched.h
    struct LinkLayout = "task_struct" in "kernel/fork.c" {
        need tasks = "tasks",
        need signal = "signal",
        /// 3.14 and later (commit 0c740d0afc3b).
        maybe thread_node = "thread_node",
        /// Up to 6.6: a ring of all threads, their leader among them.
        maybe thread_group = "thread_group",
    }
}

layout! {
    /// include/linux/sched/signal.h
    struct ThreadsLayout = "signal_struct" in "kernel/fork.c" {
        /// 3.14 and later.
        maybe thread_head = "thread_head",
    }
}

/// PID_MAX_LIMIT.
const MAX_TASKS: u64 = 1 << 22;

/// One process, or a kernel thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The `task_struct` of its leader.
    pub leader: VirtAddr,
    /// Those of all its threads, the leader's among them.
    pub threads: Vec<VirtAddr>,
}

/// All processes but the idle tasks.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// In the order of their making.
    pub list: Vec<Process>,
    /// Whether all of them and of their threads were reached.
    pub complete: bool,
}

impl Processes {
    /// Walks the lists. Broken ones give what was reached.
    ///
    /// # Errors
    /// If the kernel's types or symbols lack what tasks are made of.
    pub fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let threads = Threads::new(kernel)?;
        let init = kernel.need_symbol("init_task")?;
        let link = u64::from(threads.task.tasks.offset);
        let leaders = walk::list(&kernel.space, init.plus(link), MAX_TASKS);
        let mut complete = leaders.end.is_complete();
        let leaders = leaders.value.iter().map(|at| at.minus(link));
        let list = leaders.map(|leader| {
            let (process, whole) = threads.of(leader);
            complete &= whole;
            process
        });
        Ok(Self {
            list: list.collect(),
            complete,
        })
    }
}

/// Finds the threads of a process.
pub(super) struct Threads<'k> {
    kernel: &'k Kernel,
    task: LinkLayout,
    signal: ThreadsLayout,
    /// `thread_group`, or `tasks` in kernels that have lists with heads.
    group: Field,
}

impl<'k> Threads<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let task: LinkLayout = kernel.layout()?;
        let signal: ThreadsLayout = kernel.layout()?;
        let listed = signal.thread_head.is_some() && task.thread_node.is_some();
        let group = match task.thread_group {
            Some(group) => group,
            None if listed => task.tasks,
            None => {
                return Err(KernelError::Layout(LayoutError::NoMember {
                    structure: "task_struct",
                    member: "thread_node or thread_group",
                }));
            }
        };
        Ok(Self {
            task,
            signal,
            group,
            kernel,
        })
    }

    /// The head of the list of a process's threads, and where a thread is linked to it.
    fn ring(&self, leader: VirtAddr, signal: VirtAddr) -> (VirtAddr, u64) {
        let links = match (self.signal.thread_head, self.task.thread_node) {
            (Some(head), Some(node)) => (signal, head, node),
            _ => (leader, self.group, self.group),
        };
        let (start, head, node) = links;
        (start.plus(u64::from(head.offset)), u64::from(node.offset))
    }

    /// The process of a leader, and whether all of its threads were reached; at least the leader is
    /// among them.
    pub(super) fn of(&self, leader: VirtAddr) -> (Process, bool) {
        let space = &self.kernel.space;
        let mut threads = vec![leader];
        let signal = space.read_ptr(leader.plus(u64::from(self.task.signal.offset)));
        let whole = match signal {
            // It has exited, and waits to be reaped.
            Ok(signal) if signal.is_null() => true,
            Ok(signal) => {
                let (head, node) = self.ring(leader, signal);
                let nodes = walk::list(space, head, MAX_TASKS);
                let all = nodes.value.iter().map(|link| link.minus(node));
                threads.extend(all.filter(|thread| *thread != leader));
                nodes.end.is_complete()
            }
            Err(_) => false,
        };
        (Process { leader, threads }, whole)
    }
}
