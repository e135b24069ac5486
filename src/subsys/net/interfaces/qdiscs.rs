//! Queueing disciplines of devices (include/net/sch_generic.h).

use serde::Serialize;

use super::device::NetDeviceLayout;
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/net/sch_generic.h
    struct QdiscLayout = "Qdisc" in "net/sched/sch_generic.c" {
        need flags = "flags",
        need limit = "limit",
        need operations = "ops",
        need link = "hash",
        need handle = "handle",
        need parent = "parent",
        need qlen = "q.qlen",
        need backlog = "qstats.backlog",
        need drops = "qstats.drops",
        need requeues = "qstats.requeues",
        need cpu_stats = "cpu_qstats",
    }
}

layout! {
    /// include/net/sch_generic.h
    struct QdiscOperationsLayout = "Qdisc_ops" in "net/sched/sch_generic.c" {
        need id = "id",
    }
}

layout! {
    /// include/uapi/linux/gen_stats.h
    struct QueueStatsLayout = "gnet_stats_queue" in "net/sched/sch_generic.c" {
        need qlen = "qlen",
        need backlog = "backlog",
        need drops = "drops",
        need requeues = "requeues",
    }
}

/// TCQ_F_BUILTIN and TCQ_F_CPUSTATS.
const BUILTIN: u64 = 1;
const CPU_STATS: u64 = 0x20;
/// More than any device has in a bucket.
const MAX_CHAIN: u64 = 1 << 16;

/// One queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QdiscFacts {
    /// Its `struct Qdisc`.
    pub address: VirtAddr,
    /// `fq_codel`, ….
    pub kind: String,
    /// As tc prints it, `8001:`.
    pub handle: String,
    /// Of which class it is; `root` of none.
    pub parent: String,
    /// Packets on it.
    pub packets: u64,
    /// Their bytes.
    pub backlog_bytes: u64,
    /// What was dropped since it was made.
    pub drops: u64,
    /// What was put back since the device was busy.
    pub requeues: u64,
    /// The most packets or bytes, as the discipline counts.
    pub limit: u64,
}

pub(super) struct QdiscReader<'k> {
    kernel: &'k Kernel,
    qdisc: QdiscLayout,
    operations: QdiscOperationsLayout,
    stats: QueueStatsLayout,
    cpus: Cpus,
}

impl<'k> QdiscReader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            qdisc: kernel.layout()?,
            operations: kernel.layout()?,
            stats: kernel.layout()?,
            cpus: Cpus::read(kernel)?,
            kernel,
        })
    }

    /// The root of a device and those below it; `None` if one can't be read.
    pub(super) fn of(
        &self,
        device: VirtAddr,
        layout: &NetDeviceLayout,
        record: &[u8],
    ) -> Option<Vec<QdiscFacts>> {
        let root = VirtAddr(layout.qdisc.get(record));
        let mut all = Vec::new();
        if !root.is_null() {
            all.push(root);
        }
        if let Some(field) = layout.qdisc_hash {
            for bucket in 0..u64::from(field.size) / 8 {
                let head = device.plus(u64::from(field.offset) + bucket * 8);
                let chain = walk::hlist(&self.kernel.space, head, MAX_CHAIN);
                let link = u64::from(self.qdisc.link.offset);
                let nodes = chain.value.iter().map(|node| node.minus(link));
                all.extend(nodes.filter(|at| *at != root));
                chain.end.is_complete().then_some(())?;
            }
        }
        let found: Option<Vec<_>> = all.into_iter().map(|at| self.one(at, root)).collect();
        // Of a device that is down, what drops all.
        let is_real = |one: &QdiscFacts| one.kind != "noop";
        found.map(|all| all.into_iter().filter(is_real).collect())
    }

    fn one(&self, at: VirtAddr, root: VirtAddr) -> Option<QdiscFacts> {
        let space = &self.kernel.space;
        let layout = &self.qdisc;
        let record = space.read_bytes(at, layout.len).ok()?;
        let operations = VirtAddr(layout.operations.get(&record));
        let id = operations.plus(u64::from(self.operations.id.offset));
        let flags = layout.flags.get(&record);
        let mut sums = [
            layout.qlen.get(&record),
            layout.backlog.get(&record),
            layout.drops.get(&record),
            layout.requeues.get(&record),
        ];
        let percpu = VirtAddr(layout.cpu_stats.get(&record));
        if flags & CPU_STATS != 0 && flags & BUILTIN == 0 && !percpu.is_null() {
            for (_, at) in self.cpus.instances(percpu) {
                let part = space.read_bytes(at, self.stats.len).ok()?;
                let of = |field: Field| field.get(&part);
                let stats = &self.stats;
                let parts = [
                    of(stats.qlen),
                    of(stats.backlog),
                    of(stats.drops),
                    of(stats.requeues),
                ];
                for (sum, part) in sums.iter_mut().zip(parts) {
                    *sum = u64::from((*sum as u32).wrapping_add(part as u32));
                }
            }
        }
        let [packets, backlog_bytes, drops, requeues] = sums;
        let parent = layout.parent.get(&record);
        Some(QdiscFacts {
            address: at,
            kind: space.read_c_string(id, 16).ok()?,
            handle: format!("{:x}:", layout.handle.get(&record) >> 16),
            parent: match at == root || parent == 0xffff_ffff {
                true => "root".to_owned(),
                false => format!("{:x}:{:x}", parent >> 16, parent & 0xffff),
            },
            packets,
            backlog_bytes,
            drops,
            requeues,
            limit: layout.limit.get(&record),
        })
    }
}
