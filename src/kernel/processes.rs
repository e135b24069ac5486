//! All processes and kernel threads, by the list that starts at `init_task`.

use super::layout::layout;
use super::{Kernel, KernelError, walk};
use crate::addr::VirtAddr;

layout! {
    /// include/linux/sched.h
    struct LinkLayout = "task_struct" in "kernel/fork.c" {
        need tasks = "tasks",
        need signal = "signal",
        need thread_node = "thread_node",
    }
}

layout! {
    /// include/linux/sched/signal.h
    struct ThreadsLayout = "signal_struct" in "kernel/fork.c" {
        need thread_head = "thread_head",
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
        let layout: LinkLayout = kernel.layout()?;
        let threads: ThreadsLayout = kernel.layout()?;
        let init = kernel.need_symbol("init_task")?;
        let head = init.plus(u64::from(layout.tasks.offset));
        let leaders = walk::list(&kernel.space, head, MAX_TASKS);
        let mut found = Self {
            list: Vec::with_capacity(leaders.value.len()),
            complete: leaders.end.is_complete(),
        };
        for link in &leaders.value {
            let leader = link.minus(u64::from(layout.tasks.offset));
            let signal = kernel
                .space
                .read_ptr(leader.plus(u64::from(layout.signal.offset)));
            let mut all = vec![leader];
            match signal {
                // It has exited, and waits to be reaped.
                Ok(signal) if signal.is_null() => {}
                Ok(signal) => {
                    let head = signal.plus(u64::from(threads.thread_head.offset));
                    let nodes = walk::list(&kernel.space, head, MAX_TASKS);
                    found.complete &= nodes.end.is_complete();
                    let node = u64::from(layout.thread_node.offset);
                    let threads = nodes.value.iter().map(|link| link.minus(node));
                    all.extend(threads.filter(|thread| *thread != leader));
                }
                Err(_) => found.complete = false,
            }
            found.list.push(Process {
                leader,
                threads: all,
            });
        }
        Ok(found)
    }
}
