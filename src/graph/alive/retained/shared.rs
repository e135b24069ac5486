//! What several hold and none alone: who they are.

use std::collections::{BTreeMap, BTreeSet};

use super::{GROUPS, Group, Shared, Summing};
use crate::graph::alive::links::Successors;

/// So many shared things, the largest, are asked whose they are.
const SHARED: usize = 1 << 16;
/// So many of those that share something are asked who shares them.
const ASKED: usize = 64;
/// Owners named of what is shared.
const SHARERS: usize = 4;

impl Summing<'_, '_> {
    /// What no root has alone, by who holds it.
    pub(super) fn shared(
        &self,
        loose: impl Iterator<Item = u32>,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Vec<Shared> {
        let pairs = || {
            let nodes = 0..self.alive.strong.edges.nodes();
            nodes.flat_map(|node| {
                self.alive
                    .strong
                    .edges
                    .of_node(node)
                    .map(move |to| (to, node))
            })
        };
        let holders = Successors::of(self.alive.strong.edges.nodes(), pairs);
        let mut sets: BTreeMap<BTreeSet<u32>, Vec<u32>> = BTreeMap::new();
        let mut loose: Vec<u32> = loose.collect();
        loose.sort_by_key(|node| (std::cmp::Reverse(self.bytes.sum(*node)), *node));
        for (index, node) in loose.into_iter().enumerate() {
            let roots = match index < SHARED {
                true => self.roots_of(node, &holders),
                false => BTreeSet::new(),
            };
            sets.entry(roots).or_default().push(node);
        }
        let mut shared: BTreeMap<Vec<String>, (u64, Vec<u32>)> = BTreeMap::new();
        for (tops, nodes) in sets {
            let mut names: Vec<String> = tops.iter().map(|top| self.alive.name(*top)).collect();
            names.sort();
            names.dedup();
            let more = names.len().saturating_sub(SHARERS) as u64;
            names.truncate(SHARERS);
            let (all, own) = shared.entry(names).or_default();
            *all = more.max(*all);
            own.extend(nodes);
        }
        let of = |(by, (more, nodes)): (Vec<String>, (u64, Vec<u32>))| Shared {
            more,
            retained_bytes: nodes.iter().map(|node| self.bytes.sum(*node)).sum(),
            objects: nodes.iter().map(|node| self.objects.sum(*node)).sum(),
            groups: self.of_kinds(&nodes),
            by,
        };
        let mut shared: Vec<Shared> = shared
            .into_iter()
            .filter(|(by, _)| by.iter().any(|name| wanted(name)))
            .map(of)
            .collect();
        shared.sort_by(|a, b| (b.retained_bytes, &a.by).cmp(&(a.retained_bytes, &b.by)));
        shared
    }

    /// The roots below which those lie that hold a node, or that hold what holds it.
    fn roots_of(&self, node: u32, holders: &Successors) -> BTreeSet<u32> {
        let mut roots = BTreeSet::new();
        let mut seen = vec![node];
        let mut next = 0;
        while let Some(at) = seen.get(next).copied().filter(|_| next < ASKED) {
            next += 1;
            let tops = holders
                .of_node(at)
                .filter_map(|holder| self.tops.get(holder));
            for top in tops.take(ASKED) {
                if self.role(top).is_root() {
                    roots.insert(top);
                } else if top != u32::MAX && !seen.contains(&top) {
                    seen.push(top);
                }
            }
        }
        roots
    }

    fn of_kinds(&self, nodes: &[u32]) -> Vec<Group> {
        let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for node in nodes {
            let (count, bytes) = kinds.entry(self.alive.class_name(*node)).or_default();
            *count += 1;
            *bytes += self.bytes.sum(*node);
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        let group = |(name, (objects, retained_bytes))| Group {
            name,
            objects,
            retained_bytes,
            held_by: String::new(),
            holder: None,
            place: String::new(),
            listed: false,
        };
        kinds.into_iter().take(GROUPS).map(group).collect()
    }
}
