//! What kmemleak reported, by who allocated it.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::subsys::mm::kmemleak::{Frame, Unreferenced};

/// Objects allocated on one way.
#[derive(Clone, Debug, Serialize)]
pub struct StackGroup {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The task that allocated the first of them.
    pub comm: String,
    /// When the first and the last of them were allocated.
    pub first_jiffies: u64,
    /// See there.
    pub last_jiffies: u64,
    /// The way, innermost function first; empty if no trace was taken or it is gone.
    pub frames: Vec<Frame>,
}

/// Sums up by stack trace, the most bytes first. Each object's `stack` becomes its group's place.
pub fn by_stack(objects: &mut [Unreferenced], mut stacks: Vec<Vec<Frame>>) -> Vec<StackGroup> {
    let mut groups: FxHashMap<Option<usize>, StackGroup> = FxHashMap::default();
    for object in objects.iter() {
        let group = groups.entry(object.stack).or_insert_with(|| StackGroup {
            objects: 0,
            bytes: 0,
            comm: object.comm.clone(),
            first_jiffies: object.jiffies,
            last_jiffies: object.jiffies,
            frames: object
                .stack
                .and_then(|place| stacks.get_mut(place))
                .map(std::mem::take)
                .unwrap_or_default(),
        });
        group.objects += 1;
        group.bytes = group.bytes.saturating_add(object.size);
        group.first_jiffies = group.first_jiffies.min(object.jiffies);
        group.last_jiffies = group.last_jiffies.max(object.jiffies);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(place, group)| (std::cmp::Reverse((group.bytes, group.objects)), *place));
    let places: FxHashMap<_, _> = groups
        .iter()
        .enumerate()
        .map(|(new, (old, _))| (*old, new))
        .collect();
    for object in objects {
        object.stack = places.get(&object.stack).copied();
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
