//! Which unreachable objects others hang on: Tarjan's strongly connected components, with a stack of
//! its own.

use super::scan::Edge;

/// None yet.
const NEW: u32 = u32::MAX;

/// All objects that have a part in `edges`, which are sorted; and of these one for each strongly
/// connected component that no other points into.
pub(super) fn sources(edges: &[Edge]) -> (Vec<u32>, Vec<u32>) {
    let graph = Graph::new(edges);
    let component = graph.components();
    let count = component.iter().max().map_or(0, |last| last + 1) as usize;
    let mut entered = vec![false; count];
    let mut first = vec![NEW; count];
    for (from, own) in (0u32..).zip(&component) {
        if let Some(slot) = first.get_mut(*own as usize) {
            *slot = from.min(*slot);
        }
        for to in graph.next(from) {
            if let Some(other) = component.get(*to as usize).filter(|other| *other != own)
                && let Some(slot) = entered.get_mut(*other as usize)
            {
                *slot = true;
            }
        }
    }
    let roots = first.iter().zip(entered).filter(|(_, entered)| !entered);
    let mut found: Vec<u32> = roots
        .filter_map(|(first, _)| graph.nodes.get(*first as usize).copied())
        .collect();
    found.sort_unstable();
    (graph.nodes, found)
}

/// Nodes by number, and what each leads to.
struct Graph {
    nodes: Vec<u32>,
    /// Where in `targets` those of each node begin, and one past the last.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Graph {
    fn new(edges: &[Edge]) -> Self {
        let mut nodes: Vec<u32> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let number = |node: &u32| nodes.binary_search(node).unwrap_or(0) as u32;
        let starts = nodes.iter().map(|node| {
            let before = edges.partition_point(|(from, _)| from < node);
            before as u32
        });
        let mut starts: Vec<u32> = starts.collect();
        starts.push(edges.len() as u32);
        let targets = edges.iter().map(|(_, to)| number(to)).collect();
        Self {
            starts,
            targets,
            nodes,
        }
    }

    fn next(&self, node: u32) -> &[u32] {
        let at = |node: u32| self.starts.get(node as usize).map_or(0, |at| *at as usize);
        let range = at(node)..at(node.saturating_add(1));
        self.targets.get(range).unwrap_or_default()
    }

    /// The component of each node.
    fn components(&self) -> Vec<u32> {
        let count = self.nodes.len();
        let mut order = vec![NEW; count];
        let mut low = vec![0; count];
        let mut component = vec![NEW; count];
        let (mut visited, mut found) = (0, 0);
        let mut open = Vec::new();
        let mut path = Vec::new();
        let at = |values: &[u32], index: u32| values.get(index as usize).copied().unwrap_or(NEW);
        for start in 0..count as u32 {
            path.push((start, 0usize));
            while let Some((node, edge)) = path.pop() {
                if edge == 0 {
                    if at(&order, node) != NEW {
                        continue;
                    }
                    set(&mut order, node, visited);
                    set(&mut low, node, visited);
                    visited += 1;
                    open.push(node);
                }
                let targets = self.next(node);
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
}

fn set(values: &mut [u32], index: u32, value: u32) {
    if let Some(slot) = values.get_mut(index as usize) {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_one_source_and_what_hangs_on_it_none() {
        // 1 <-> 2 -> 3 -> 4, 4 -> 3; 10 -> 11.
        let edges = [(1, 2), (2, 1), (2, 3), (3, 4), (4, 3), (10, 11)];
        let (nodes, found) = sources(&edges);
        assert_eq!(nodes, [1, 2, 3, 4, 10, 11]);
        assert_eq!(found, [1, 10]);
        assert_eq!(sources(&[]), (vec![], vec![]));
        assert_eq!(sources(&[(7, 7)]), (vec![7], vec![7]));
    }

    #[test]
    fn a_long_chain_needs_no_deep_stack() {
        let edges: Vec<Edge> = (0..100_000).map(|n| (n, n + 1)).collect();
        assert_eq!(sources(&edges).1, [0]);
    }
}
