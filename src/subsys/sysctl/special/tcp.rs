//! Congestion control, hash tables and other parts of TCP, UDP and MPTCP.

use super::super::decode::{Answer, ValueReader};
use super::super::layouts::NetLayout;
use super::super::tree::Leaf;
use super::{Once, unknown};
use crate::addr::VirtAddr;
use crate::bytes::u32_at;
use crate::kernel::layout::{Field, layout};

layout! {
    /// include/net/tcp.h
    struct CongestionLayout = "tcp_congestion_ops" in "net/ipv4/tcp_cong.c" {
        need name = "name",
        need list = "list",
        need flags = "flags",
    }
}

layout! {
    /// include/net/tcp.h
    struct UpperLayerLayout = "tcp_ulp_ops" in "net/ipv4/tcp_ulp.c" {
        need name = "name",
        need list = "list",
    }
}

layout! {
    /// include/net/mptcp.h
    struct SchedulerLayout = "mptcp_sched_ops" in "net/mptcp/sched.c" {
        need name = "name",
        need list = "list",
    }
}

layout! {
    /// include/net/mptcp.h
    struct PathManagerLayout = "mptcp_pm_ops" in "net/mptcp/pm.c" {
        need name = "name",
        need list = "list",
    }
}

layout! {
    /// include/net/inet_hashtables.h
    struct HashLayout = "inet_hashinfo" in "net/ipv4/tcp_ipv4.c" {
        need mask = "ehash_mask",
        /// Whether a namespace has a table of its own, 6.1 and later.
        maybe own = "pernet",
    }
}

layout! {
    /// include/net/udp.h
    struct UdpLayout = "udp_table" in "net/ipv4/udp.c" {
        need mask = "mask",
    }
}

layout! {
    /// include/net/tcp.h
    struct FastOpenLayout = "tcp_fastopen_context" in "net/ipv4/tcp_fastopen.c" {
        need key = "key",
        /// 5.3 and later (commit 9092a76d3cf8): one key before.
        maybe num = "num",
    }
}

/// Structures of this file.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    congestion: Once<CongestionLayout>,
    upper: Once<UpperLayerLayout>,
    scheduler: Once<SchedulerLayout>,
    path: Once<PathManagerLayout>,
    hash: Once<HashLayout>,
    udp: Once<UdpLayout>,
    fastopen: Once<FastOpenLayout>,
}

/// Of those that programs may choose (TCP_CONG_NON_RESTRICTED).
const NOT_RESTRICTED: u64 = 1;

fn pointer(
    reader: &ValueReader<'_>,
    leaf: &Leaf,
    member: fn(&NetLayout) -> Option<Field>,
) -> Result<VirtAddr, super::Unread> {
    let (at, _) = reader.net_member(leaf, member)?;
    Ok(reader.kernel.space.read_ptr(at)?)
}

/// net/ipv4/tcp_cong.c
pub(crate) fn congestion_control(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let name = reader.shapes.tcp.congestion.get(reader)?.name;
    let ops = pointer(reader, leaf, |net| net.congestion)?;
    match ops.is_null() {
        true => Ok(String::new()),
        false => reader.name_in(ops, name),
    }
}

fn names(reader: &ValueReader<'_>, head: &'static str, link: Field, name: Field) -> Answer {
    let all = reader.listed(head, link)?.into_iter();
    let all: Result<Vec<String>, _> = all.map(|at| reader.name_in(at, name)).collect();
    Ok(all?.join(" "))
}

/// net/ipv4/tcp_cong.c
pub(crate) fn available(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.congestion.get(reader)?;
    names(reader, "tcp_cong_list", layout.list, layout.name)
}

/// net/ipv4/tcp_cong.c
pub(crate) fn allowed(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.congestion.get(reader)?;
    let mut all = Vec::new();
    for ops in reader.listed("tcp_cong_list", layout.list)? {
        let record = reader.kernel.space.read_bytes(ops, layout.len)?;
        if layout.flags.get(&record) & NOT_RESTRICTED != 0 {
            all.push(reader.name_in(ops, layout.name)?);
        }
    }
    Ok(all.join(" "))
}

/// net/ipv4/tcp_ulp.c
pub(crate) fn upper_layers(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.upper.get(reader)?;
    names(reader, "tcp_ulp_list", layout.list, layout.name)
}

/// net/mptcp/sched.c
pub(crate) fn schedulers(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.scheduler.get(reader)?;
    names(reader, "mptcp_sched_list", layout.list, layout.name)
}

/// net/mptcp/pm.c
pub(crate) fn path_managers(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.path.get(reader)?;
    names(reader, "mptcp_pm_list", layout.list, layout.name)
}

/// Buckets; negative if the table is the initial namespace's.
fn buckets(mask: u64, borrowed: bool) -> String {
    let count = (mask as u32).wrapping_add(1).cast_signed();
    match borrowed {
        true => count.wrapping_neg().to_string(),
        false => count.to_string(),
    }
}

fn is_initial(leaf: &Leaf) -> bool {
    leaf.net.is_none_or(|net| net.initial)
}

/// net/ipv4/sysctl_net_ipv4.c
pub(crate) fn established_buckets(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.hash.get(reader)?;
    let table = pointer(reader, leaf, |net| net.hashinfo)?;
    let record = reader.kernel.space.read_bytes(table, layout.len)?;
    let own = is_initial(leaf) || layout.own.is_some_and(|own| own.get(&record) & 0xff != 0);
    Ok(buckets(layout.mask.get(&record), !own))
}

/// net/ipv4/sysctl_net_ipv4.c
pub(crate) fn udp_buckets(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let layout = reader.shapes.tcp.udp.get(reader)?;
    let table = pointer(reader, leaf, |net| net.udp_table)?;
    let record = reader.kernel.space.read_bytes(table, layout.len)?;
    let global = reader.variable("udp_table").ok();
    let borrowed = !is_initial(leaf) && global == Some(table);
    Ok(buckets(layout.mask.get(&record), borrowed))
}

/// net/ipv4/sysctl_net_ipv4.c: zeros if there is no key.
pub(crate) fn fastopen_key(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    const KEY: usize = 16;
    let layout = reader.shapes.tcp.fastopen.get(reader)?;
    let context = pointer(reader, leaf, |net| net.fastopen)?;
    let (mut keys, mut count) = (vec![0; KEY], 1);
    if !context.is_null() {
        let record = reader
            .kernel
            .space
            .read_bytes(context, layout.struct_size.min(4 << 10))?;
        let key = layout.key;
        let from = key.offset as usize;
        let all = record.get(from..from + key.size as usize);
        keys = all.ok_or_else(|| unknown("the keys"))?.to_vec();
        let num = layout.num.map_or(1, |num| num.get(&record));
        count = (num as u32 as usize).max(1);
    }
    let one = |key: &[u8]| {
        let words = (0..4).filter_map(|word| u32_at(key, word * 4));
        let words: Vec<String> = words.map(|word| format!("{word:08x}")).collect();
        words.join("-")
    };
    let all: Vec<String> = keys.chunks_exact(KEY).take(count).map(one).collect();
    Ok(all.join(","))
}
