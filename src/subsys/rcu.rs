//! The grace period of RCU that ran at the crash, and who held it up.
//!
//! Layer: subsys. Input: `rcu_state` and its tree of nodes (kernel/rcu/tree.c). Output:
//! [`GracePeriod`]. Invariants: a CPU is named only if its bit is still set in its leaf, a task
//! only if it is on the leaf's list of readers that were preempted within this grace period.

use serde::Serialize;

use super::clock::Clock;
use super::system::{self, RunningTask};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, walk};

layout! {
    /// kernel/rcu/tree.h
    struct StateLayout = "rcu_state" in "kernel/rcu/tree.c" {
        need nodes = "node",
        /// 4.19 and later (commit de30ad512a66); the low bits say whether one runs.
        maybe sequence = "gp_seq",
        /// Before: the number of the last that began, and of the last that ended.
        maybe begun = "gpnum",
        maybe ended = "completed",
        need since = "gp_start",
    }
}

layout! {
    /// kernel/rcu/tree.h
    struct NodeLayout = "rcu_node" in "kernel/rcu/tree.c" {
        need waits_for = "qsmask",
        need first_cpu = "grplo",
        need last_cpu = "grphi",
        need level = "level",
        need readers = "blkd_tasks",
        /// The first of the readers that this grace period waits for; those behind it are older.
        need first_reader = "gp_tasks",
    }
}

layout! {
    /// include/linux/sched.h, with CONFIG_PREEMPT_RCU.
    struct ReaderLayout = "task_struct" in "kernel/fork.c" {
        maybe entry = "rcu_node_entry",
    }
}

/// `RCU_SEQ_STATE_MASK` (kernel/rcu/rcu.h).
const RUNS: u64 = 3;
/// More leaves, and CPUs of one, than a kernel can have (RCU_FANOUT is 64 at most).
const MAX_NODES: u64 = 4 << 10;
const MAX_CPUS: u64 = 64;
/// Readers that are named.
const NAMED: usize = 16;

/// One grace period that had not ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GracePeriod {
    /// How long it had run.
    pub seconds: f64,
    /// What ran on the CPUs that it waited for.
    pub running: Vec<RunningTask>,
    /// Readers that were preempted, and that it waited for; the first ones.
    pub preempted: Vec<RunningTask>,
}

/// The grace period that ran; `None` if none did, or it can't be read.
pub fn grace_period(kernel: &Kernel) -> Option<GracePeriod> {
    // One flavour since 4.20.
    let names = ["rcu_state", "rcu_preempt_state", "rcu_sched_state"];
    let at = names.into_iter().find_map(|name| kernel.symbol(name))?;
    let (state, node): (StateLayout, NodeLayout) = (kernel.layout().ok()?, kernel.layout().ok()?);
    let read = |field: crate::kernel::layout::Field| {
        kernel.space.read_u64(at.plus(u64::from(field.offset))).ok()
    };
    let runs = match (state.sequence, state.begun.zip(state.ended)) {
        (Some(sequence), _) => read(sequence)? & RUNS != 0,
        (None, Some((begun, ended))) => read(begun)? != read(ended)?,
        (None, None) => return None,
    };
    let clock = Clock::read(kernel).ok().flatten()?;
    if !runs {
        return None;
    }
    // `gp_start` counts as `jiffies_64` does on machines of 64 bits.
    let ticks = clock.jiffies.saturating_sub(read(state.since)?);
    let mut found = GracePeriod {
        seconds: ticks as f64 / clock.hz as f64,
        ..GracePeriod::default()
    };
    let reader: Option<ReaderLayout> = kernel.layout().ok();
    let nodes = at.plus(u64::from(state.nodes.offset));
    for leaf in leaves(kernel, nodes, u64::from(state.nodes.size), &node) {
        for cpu in leaf.cpus {
            found.running.extend(system::running_on(kernel, cpu));
        }
        let entry = reader.as_ref().and_then(|reader| reader.entry);
        let Some(entry) = entry.filter(|_| !leaf.first_reader.is_null()) else {
            continue;
        };
        // The list goes on to its head.
        let listed = walk::list(&kernel.space, leaf.readers, MAX_NODES);
        let behind = listed
            .value
            .into_iter()
            .skip_while(|link| *link != leaf.first_reader);
        let tasks = behind.map(|link| link.minus(u64::from(entry.offset)));
        let room = NAMED.saturating_sub(found.preempted.len());
        let named = tasks
            .take(room)
            .filter_map(|task| system::task_named(kernel, task));
        found.preempted.extend(named);
    }
    Some(found)
}

/// A leaf of the tree that a grace period waits for.
struct Leaf {
    cpus: Vec<u32>,
    readers: VirtAddr,
    first_reader: VirtAddr,
}

/// The leaves are the nodes of the last level, which come last in the array of `bytes`.
fn leaves(kernel: &Kernel, nodes: VirtAddr, bytes: u64, node: &NodeLayout) -> Vec<Leaf> {
    let size = node.struct_size as u64;
    let count = bytes.checked_div(size).unwrap_or(0).min(MAX_NODES);
    let mut found = Vec::new();
    let mut deepest = 0;
    for index in 0..count {
        let at = nodes.plus(index * size);
        let Ok(record) = kernel.space.read_bytes(at, node.len) else {
            continue;
        };
        let level = node.level.get(&record);
        if level > deepest {
            deepest = level;
            found.clear();
        }
        let (first, last) = (node.first_cpu.get(&record), node.last_cpu.get(&record));
        // Nodes of an array that is larger than the machine are zeros.
        if level < deepest || last < first || last - first >= MAX_CPUS {
            continue;
        }
        let mask = node.waits_for.get(&record);
        let waited = (0..=last - first).filter(|bit| mask >> bit & 1 != 0);
        found.push(Leaf {
            cpus: waited.map(|bit| (first + bit) as u32).collect(),
            readers: at.plus(u64::from(node.readers.offset)),
            first_reader: VirtAddr(node.first_reader.get(&record)),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    const NODE: &str = "struct rcu_node 64 {
    0 unsigned long qsmask
    8 int grplo
    12 int grphi
    16 unsigned char level
    24 struct list_head blkd_tasks
    40 struct list_head * gp_tasks
}";

    /// A root above two leaves of 16 CPUs: the first waits for CPU 3, the second for 17 and for a
    /// reader; and a place of the array that no node has.
    #[test]
    fn what_is_waited_for_is_told_by_leaves_alone() {
        let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        m.kernel.types.parse(NODE);
        m.kernel.vmlinux_types.parse(NODE);
        let nodes = m.kernel.alloc(4 * 64, 64);
        let reader = nodes + 128 + 0x1000;
        let all = [
            (0b11, 0u32, 31u32, 0u8, 0),
            (1 << 3, 0, 15, 1, 0),
            (1 << 1, 16, 31, 1, reader),
            (0, 0, 0, 0, 0),
        ];
        for (index, (mask, first, last, level, tasks)) in all.into_iter().enumerate() {
            let at = nodes + index as u64 * 64;
            m.kernel.write_u64(at, mask);
            m.kernel.write(at + 8, &first.to_le_bytes());
            m.kernel.write(at + 12, &last.to_le_bytes());
            m.kernel.write(at + 16, &[level]);
            m.kernel.write_u64(at + 40, tasks);
        }
        let kernel = synthetic::kernel(&m);
        let layout: NodeLayout = kernel.layout().expect("a layout");
        let found = leaves(&kernel, VirtAddr(nodes), 4 * 64, &layout);
        let told: Vec<_> = found
            .iter()
            .map(|leaf| (leaf.cpus.as_slice(), leaf.first_reader.0))
            .collect();
        assert_eq!(told, [(&[3][..], 0), (&[17][..], reader)]);
    }
}
