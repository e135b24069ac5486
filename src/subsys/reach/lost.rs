//! The objects that nothing points to, and which of them the others hang on.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::closure::Edges;
use super::targets::Targets;

/// The lost objects of one cache, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lost {
    pub(crate) objects: Vec<u32>,
    /// Those that no other lost object leads to, or that lead to each other: one for each ring.
    pub(crate) sources: u64,
    /// How many are pointed to by lost objects of each other cache, by its number.
    pub(crate) led_by: BTreeMap<u32, u64>,
}

/// Sorts lost objects by cache, and finds the sources. Areas of vmalloc, which are numbered
/// behind the objects, lead to objects as one cache more.
pub(crate) fn by_cache(
    objects: &[u32],
    edges: &Edges,
    targets: &Targets,
    caches: usize,
) -> Vec<Lost> {
    let mut lost = vec![Lost::default(); caches];
    let cache_of = |object: u32| {
        if object >= targets.objects {
            return Some(caches);
        }
        let (slab, _) = targets.place(object)?;
        Some(targets.slabs.get(slab as usize)?.cache as usize)
    };
    for object in objects {
        if let Some(of) = cache_of(*object).and_then(|cache| lost.get_mut(cache)) {
            of.objects.push(*object);
        }
    }
    let mut led: Vec<(u32, u32)> = objects
        .iter()
        .filter_map(|object| Some((*object, cache_of(*object)? as u32)))
        .flat_map(|(object, cache)| edges.of(object).map(move |to| (to, cache)))
        .collect();
    led.sort_unstable();
    led.dedup();
    for (object, from) in led {
        let Some(cache) = cache_of(object).filter(|cache| *cache != from as usize) else {
            continue;
        };
        if let Some(of) = lost.get_mut(cache)
            && of.objects.binary_search(&object).is_ok()
        {
            *of.led_by.entry(from).or_default() += 1;
        }
    }
    for source in sources(objects, edges) {
        if let Some(of) = cache_of(source).and_then(|cache| lost.get_mut(cache)) {
            of.sources += 1;
        }
    }
    lost
}

/// One object of each strongly connected component of the lost that no other component points
/// into: Tarjan's algorithm with a stack of its own. Objects come numbered from 0.
fn sources(objects: &[u32], edges: &Edges) -> Vec<u32> {
    let number: FxHashMap<u32, usize> = objects
        .iter()
        .enumerate()
        .map(|(index, object)| (*object, index))
        .collect();
    let next: Vec<Vec<usize>> = objects
        .iter()
        .map(|object| {
            let targets = edges.of(*object);
            targets.filter_map(|to| number.get(&to).copied()).collect()
        })
        .collect();
    let component = components(&next);
    let count = component.iter().max().map_or(0, |last| last + 1);
    let mut entered = vec![false; count];
    let mut first = vec![usize::MAX; count];
    for (from, targets) in next.iter().enumerate() {
        let Some(own) = component.get(from) else {
            continue;
        };
        if let Some(slot) = first.get_mut(*own) {
            *slot = from.min(*slot);
        }
        for to in targets {
            if let Some(other) = component.get(*to).filter(|other| *other != own)
                && let Some(slot) = entered.get_mut(*other)
            {
                *slot = true;
            }
        }
    }
    let roots = first.iter().zip(entered).filter(|(_, entered)| !entered);
    let mut found: Vec<u32> = roots
        .filter_map(|(first, _)| objects.get(*first).copied())
        .collect();
    found.sort_unstable();
    found
}

/// The strongly connected component of each node.
fn components(next: &[Vec<usize>]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut order = vec![NEW; next.len()];
    let mut low = vec![0; next.len()];
    let mut component = vec![NEW; next.len()];
    let (mut visited, mut found) = (0, 0);
    let mut open = Vec::new();
    for start in 0..next.len() {
        let mut path = vec![(start, 0usize)];
        while let Some((node, edge)) = path.pop() {
            let at = |values: &[usize], index: usize| values.get(index).copied().unwrap_or(NEW);
            if edge == 0 {
                if at(&order, node) != NEW {
                    continue;
                }
                set(&mut order, node, visited);
                set(&mut low, node, visited);
                visited += 1;
                open.push(node);
            }
            let targets = next.get(node).map_or(&[][..], Vec::as_slice);
            // What the last target reached counts for this node.
            if let Some(last) = edge.checked_sub(1).and_then(|last| targets.get(last))
                && at(&component, *last) == NEW
            {
                let reached = at(&low, *last).min(at(&low, node));
                set(&mut low, node, reached);
            }
            if let Some(target) = targets.get(edge) {
                path.push((node, edge + 1));
                if at(&order, *target) == NEW {
                    path.push((*target, 0));
                }
                continue;
            }
            if at(&low, node) == at(&order, node) {
                while let Some(member) = open.pop() {
                    set(&mut component, member, found);
                    if member == node {
                        break;
                    }
                }
                found += 1;
            }
        }
    }
    component
}

fn set(values: &mut [usize], index: usize, value: usize) {
    if let Some(slot) = values.get_mut(index) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_one_source_and_what_hangs_on_it_none() {
        // 1 <-> 2 -> 3 -> 4, 4 -> 3; 9 alone; 10 -> 11.
        let edges = vec![(1, 2), (2, 1), (2, 3), (3, 4), (4, 3), (10, 11)];
        let edges = Edges::new(edges);
        assert_eq!(sources(&[1, 2, 3, 4, 9, 10, 11], &edges), [1, 9, 10]);
        assert_eq!(sources(&[], &edges), [0u32; 0]);
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let edges = Edges::new((0..100_000).map(|n| (n, n + 1)).collect());
        let objects: Vec<u32> = (0..=100_000).collect();
        assert_eq!(sources(&objects, &edges), [0]);
    }
}
