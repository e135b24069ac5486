//! Tasks as owners: what they are called, and which thread is of which process.

use rustc_hash::{FxHashMap, FxHashSet};

use super::ground::Ground;
use crate::bytes::c_string;
use crate::graph::search::Search;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// include/linux/sched.h
    struct NamesLayout = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need comm = "comm",
        need leader = "group_leader",
        need stack = "stack",
    }
}

/// What a task is called.
#[derive(Clone, Debug)]
pub(super) struct TaskName {
    pub(super) pid: u32,
    pub(super) comm: String,
    is_leader: bool,
}

/// All tasks that are slab objects.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    names: FxHashMap<u32, TaskName>,
    /// The first task of a process with each other thread.
    pub(super) threads: Vec<(u32, u32)>,
    /// By the lowest address of their stacks.
    stacks: FxHashMap<u64, u32>,
}

impl Tasks {
    pub(super) fn read(kernel: &Kernel, search: &Search<'_>, ground: &Ground<'_>) -> Self {
        let mut tasks = Self::default();
        let Ok(layout) = kernel.layout::<NamesLayout>() else {
            return tasks;
        };
        for at in &search.stacks.tasks {
            let Some((node, _)) = ground.targets.object(at.0) else {
                continue;
            };
            let comm = layout.comm.offset as usize;
            let comm = comm..comm + layout.comm.size as usize;
            let Ok(record) = kernel.space.span(*at, layout.len.max(comm.end)) else {
                continue;
            };
            let comm = record.get(comm).map(c_string).unwrap_or_default();
            let leader = ground.targets.object(layout.leader.get(&record));
            let leader = leader.map_or(node, |(leader, _)| leader);
            let name = TaskName {
                pid: layout.pid.get(&record) as u32,
                comm,
                is_leader: leader == node,
            };
            tasks.names.insert(node, name);
            tasks.stacks.insert(layout.stack.get(&record), node);
            if leader != node {
                tasks.threads.push((leader, node));
            }
        }
        let is_leader = |node: &u32| tasks.names.get(node).is_some_and(|name| name.is_leader);
        tasks.threads.retain(|(leader, _)| is_leader(leader));
        tasks.threads.sort_unstable();
        tasks
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = u32> + '_ {
        // A thread without its leader stands for itself.
        let of_others: FxHashSet<u32> = self.threads.iter().map(|(_, thread)| *thread).collect();
        let all = self.names.keys().copied();
        all.filter(move |node| !of_others.contains(node))
    }

    pub(super) fn name(&self, node: u32) -> Option<&TaskName> {
        self.names.get(&node)
    }

    /// Whose stack begins there.
    pub(super) fn by_stack(&self, start: u64) -> Option<&TaskName> {
        self.names.get(self.stacks.get(&start)?)
    }
}
