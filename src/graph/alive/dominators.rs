//! Dominators: on every way from the roots to a node lies the one that alone keeps it.
//!
//! Semi-NCA (Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", 2005): one
//! depth-first search, semidominators with path compression, then the nearest common ancestor in
//! the tree as it grows. No recursion, 32 bits a number. Invariant: what the roots do not reach has
//! no dominator.

use super::links::Successors;
use super::table::Table;

/// Who dominates whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Dominators {
    /// Nodes in the order in which the search met them; the first is none: it leads to all roots.
    order: Vec<u32>,
    /// Of each node its place in that order.
    place: Table<u32>,
    /// By place, the place of the one that dominates at once; 0 where no node does.
    parent: Table<u32>,
}

/// No place.
const NONE: u32 = u32::MAX;

impl Dominators {
    /// Of what `roots` lead to.
    pub(super) fn of(graph: &Successors, roots: impl Iterator<Item = u32>) -> Self {
        let roots: Vec<u32> = roots.collect();
        let mut found = Self {
            order: vec![NONE],
            place: Table::new(graph.nodes(), NONE),
            parent: Table::from(vec![0]),
        };
        found.search(graph, &roots);
        let before = found.predecessors(graph);
        let mut is_root = Table::new(found.parent.len(), false);
        for root in &roots {
            is_root.set(found.place.get(*root).unwrap_or(NONE), true);
        }
        let semi = Semi::new(&found.parent).run(&before, &is_root);
        for at in 1..found.parent.len() {
            let limit = semi.get(at).unwrap_or(0);
            let mut above = found.parent.get(at).unwrap_or(0);
            while above > limit {
                above = found.parent.get(above).unwrap_or(0);
            }
            found.parent.set(at, above);
        }
        found
    }

    /// Depth first, so that `parent` is the tree of the search.
    fn search(&mut self, graph: &Successors, roots: &[u32]) {
        let mut stack: Vec<(u32, u32, u32)> = Vec::new();
        for root in roots {
            if self.place.get(*root) != Some(NONE) {
                continue;
            }
            stack.push((*root, self.meet(*root, 0), 0));
            while let Some((node, at, next)) = stack.last_mut() {
                let Some(target) = graph.get(*node, *next) else {
                    stack.pop();
                    continue;
                };
                *next += 1;
                let above = *at;
                if self.place.get(target) == Some(NONE) {
                    stack.push((target, self.meet(target, above), 0));
                }
            }
        }
    }

    fn meet(&mut self, node: u32, above: u32) -> u32 {
        let at = self.order.len() as u32;
        self.order.push(node);
        self.place.set(node, at);
        self.parent.push(above);
        at
    }

    /// By place, the places of those that lead there.
    fn predecessors(&self, graph: &Successors) -> Successors {
        let place = |node| self.place.get(node).filter(|at| *at != NONE);
        Successors::of(self.parent.len(), || {
            let reached = (0u32..).zip(&self.order).skip(1);
            reached.flat_map(move |(at, node)| {
                let targets = graph.of_node(*node).filter_map(place);
                targets.map(move |target| (target, at))
            })
        })
    }

    /// Whether the roots lead to a node.
    pub(super) fn is_reached(&self, node: u32) -> bool {
        self.place.get(node).is_some_and(|at| at != NONE)
    }

    /// The node without which this one would not be reached; `None` if there is none, or if it is
    /// not reached.
    pub(super) fn parent(&self, node: u32) -> Option<u32> {
        let at = self.place.get(node).filter(|at| *at != NONE)?;
        let above = self.parent.get(at).filter(|above| *above != 0)?;
        self.order.get(above as usize).copied()
    }

    /// The nodes that are reached, each behind the one that dominates it.
    pub(super) fn reached(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.order.iter().skip(1).copied()
    }

    /// For each node the sum of `own` of it and of all that it dominates.
    pub(super) fn sums(&self, own: impl Fn(u32) -> u64) -> Table<u64> {
        let mut sums = Table::new(self.place.len(), 0u64);
        for node in self.reached() {
            sums.set(node, own(node));
        }
        for node in self.reached().rev() {
            if let Some(above) = self.parent(node) {
                sums.add(above, sums.sum(node));
            }
        }
        sums
    }

    /// For each node the last of those that dominate it: the one that nothing dominates.
    pub(super) fn tops(&self) -> Table<u32> {
        let mut tops = Table::new(self.place.len(), NONE);
        for node in self.reached() {
            let above = self.parent(node).and_then(|above| tops.get(above));
            tops.set(node, above.unwrap_or(node));
        }
        tops
    }
}

/// Semidominators, as far as they are known.
struct Semi {
    /// The forest of what was looked at, with its paths compressed.
    above: Table<u32>,
    label: Table<u32>,
    semi: Table<u32>,
}

impl Semi {
    fn new(parent: &Table<u32>) -> Self {
        let own = Table::from((0..parent.len()).collect::<Vec<u32>>());
        Self {
            above: parent.clone(),
            label: own.clone(),
            semi: own,
        }
    }

    fn run(mut self, before: &Successors, is_root: &Table<bool>) -> Table<u32> {
        let mut path = Vec::new();
        for at in (1..self.semi.len()).rev() {
            let mut least = self.above.get(at).unwrap_or(0);
            if is_root.get(at) == Some(true) {
                least = 0;
            }
            for from in before.of_node(at) {
                let label = self.least(from, at + 1, &mut path);
                least = least.min(self.semi.get(label).unwrap_or(0));
            }
            self.semi.set(at, least);
        }
        self.semi
    }

    /// The label with the least semidominator on the way up from a node, as far as nodes from
    /// `linked` on go.
    fn least(&mut self, at: u32, linked: u32, path: &mut Vec<u32>) -> u32 {
        let above = |table: &Table<u32>, at| table.get(at).unwrap_or(0);
        if above(&self.above, at) < linked {
            return self.label.get(at).unwrap_or(at);
        }
        let mut top = at;
        while above(&self.above, top) >= linked {
            path.push(top);
            top = above(&self.above, top);
        }
        let semi_of = |this: &Self, label| this.semi.get(label).unwrap_or(0);
        let mut best = self.label.get(top).unwrap_or(top);
        let root = above(&self.above, top);
        while let Some(node) = path.pop() {
            self.above.set(node, root);
            let label = self.label.get(node).unwrap_or(node);
            if semi_of(self, best) < semi_of(self, label) {
                self.label.set(node, best);
            } else {
                best = label;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is reached without `gone`.
    fn reach(edges: &[(u32, u32)], roots: &[u32], gone: Option<u32>) -> BTreeSet<u32> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<u32> = roots.to_vec();
        while let Some(node) = open.pop() {
            if Some(node) != gone && seen.insert(node) {
                open.extend(
                    edges
                        .iter()
                        .filter(|(from, _)| *from == node)
                        .map(|(_, to)| *to),
                );
            }
        }
        seen
    }

    /// By definition: a node dominates what is lost without it. The nearest is the one that all
    /// others dominate.
    fn slow(edges: &[(u32, u32)], roots: &[u32], nodes: u32) -> Vec<Option<u32>> {
        let all = reach(edges, roots, None);
        let lost: Vec<BTreeSet<u32>> = (0..nodes)
            .map(|gone| &all - &reach(edges, roots, Some(gone)))
            .collect();
        let of = |node: u32| {
            let above = (0..nodes).filter(|a| *a != node && lost[*a as usize].contains(&node));
            above.min_by_key(|a| lost[*a as usize].len())
        };
        (0..nodes)
            .map(|node| all.contains(&node).then(|| of(node)).flatten())
            .collect()
    }

    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *state >> 33
    }

    #[test]
    fn as_by_definition_on_random_graphs() {
        let mut state = 7;
        let mut dominated = 0;
        for round in 0..400 {
            let nodes = 3 + (next(&mut state) % 22) as u32;
            let many = 1 + next(&mut state) % (1 + u64::from(nodes) * (1 + round % 4));
            let mut some = || (next(&mut state) % u64::from(nodes)) as u32;
            let edges: Vec<(u32, u32)> = (0..many).map(|_| (some(), some())).collect();
            let roots: Vec<u32> = (0..1 + round as u32 % 3).map(|_| some()).collect();
            let graph = Successors::of(nodes, || edges.iter().copied());
            let found = Dominators::of(&graph, roots.iter().copied());
            let parents: Vec<_> = (0..nodes).map(|node| found.parent(node)).collect();
            let expected = slow(&edges, &roots, nodes);
            assert_eq!(parents, expected, "{edges:?} from {roots:?}");
            let reached: BTreeSet<u32> = found.reached().collect();
            assert_eq!(reached, reach(&edges, &roots, None));
            dominated += parents.iter().flatten().count();
        }
        assert!(dominated > 1000, "the graphs are too dense: {dominated}");
    }

    #[test]
    fn sums_and_tops_follow_the_tree() {
        // 0 keeps 1 to 3; 4 keeps nothing alone, for 5 is held from both.
        let edges = [(0, 1), (1, 2), (1, 3), (0, 5), (4, 5)];
        let graph = Successors::of(7, || edges.iter().copied());
        let found = Dominators::of(&graph, [0, 4].into_iter());
        let sums = found.sums(|node| 10 + u64::from(node));
        let of = [0, 1, 4, 5, 6].map(|node| sums.sum(node));
        assert_eq!(of, [46, 36, 14, 15, 0]);
        let tops = found.tops();
        let of = [2, 5, 4].map(|node| tops.get(node));
        assert_eq!(of, [Some(0), Some(5), Some(4)]);
        assert!(!found.is_reached(6));
    }

    #[test]
    fn a_long_list_needs_no_stack() {
        let graph = Successors::of(300_000, || (0..299_999).map(|at| (at, at + 1)));
        let found = Dominators::of(&graph, std::iter::once(0));
        assert_eq!(found.parent(299_999), Some(299_998));
    }
}
