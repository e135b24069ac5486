//! fs.*: counters that are added up when they are read.

use super::super::decode::{Answer, Unread, ValueReader, tabs};
use super::super::tree::Leaf;
use super::{Once, unknown};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::percpu_counter::PercpuCounter;

layout! {
    /// include/linux/quota.h
    struct QuotaLayout = "dqstats" in "fs/quota/dquot.c" {
        need stat = "stat",
        need counter = "counter",
    }
}

/// Structures of this file.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    counter: Once<PercpuCounter>,
    quota: Once<QuotaLayout>,
}

/// `percpu_counter_sum_positive`.
fn counter(reader: &ValueReader<'_>, at: VirtAddr) -> Result<u64, Unread> {
    let layout = reader.shapes.fs.counter.get(reader)?;
    let cpus = reader.cpus().ok_or_else(|| unknown("the list of CPUs"))?;
    let sum = layout.sum(reader.kernel, cpus, at)?;
    Ok(sum.max(0).cast_unsigned())
}

/// The table's longs, those at `known` places replaced.
fn longs(reader: &ValueReader<'_>, leaf: &Leaf, known: &[(usize, u64)]) -> Answer {
    let bytes = reader
        .kernel
        .space
        .read_bytes(leaf.data, leaf.maxlen.min(256))?;
    let at = |index: usize| {
        let replaced = known.iter().find(|(place, _)| *place == index);
        replaced.map_or(u64_at(&bytes, index * 8), |(_, value)| Some(*value))
    };
    Ok(tabs((0..bytes.len() / 8).filter_map(at)))
}

/// fs/dcache.c: entries, unused ones, …, negative ones (5.0 and later).
pub(crate) fn dentries(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let mut known = vec![
        (0, reader.sum("nr_dentry")?),
        (1, reader.sum("nr_dentry_unused")?),
    ];
    if reader.kernel.symbol("nr_dentry_negative").is_some() {
        known.push((4, reader.sum("nr_dentry_negative")?));
    }
    longs(reader, leaf, &known)
}

/// fs/inode.c
pub(crate) fn inodes(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let known = [(0, reader.sum("nr_inodes")?), (1, reader.sum("nr_unused")?)];
    longs(reader, leaf, &known)
}

/// fs/file_table.c
pub(crate) fn files(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let open = counter(reader, reader.variable("nr_files")?)?;
    longs(reader, leaf, &[(0, open)])
}

/// fs/quota/dquot.c: the counter with the place that the data have among the numbers.
pub(crate) fn quota(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let layout = reader.shapes.fs.quota.get(reader)?;
    let size = reader.shapes.fs.counter.get(reader)?.struct_size as u64;
    let all = reader.variable("dqstats")?;
    let stat = all.plus(u64::from(layout.stat.offset));
    let index = leaf.data.offset_from(stat).map(|bytes| bytes / 8);
    let index = index.filter(|index| *index < u64::from(layout.stat.size) / 8);
    let index = index.ok_or_else(|| unknown("the counters"))?;
    let at = all.plus(u64::from(layout.counter.offset) + index * size);
    Ok(counter(reader, at)?.to_string())
}
