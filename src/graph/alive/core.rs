//! The part of the graph that lists decide.
//!
//! Input: links that own anyway, what lists hold. Output: [`Core`], in numbers of its own. What the
//! roots reach without any list is never lost with one: all of it is node 0. What leads to no head
//! and no member of a list is left out. Both leave unchanged which list dominates which member.

use super::links::Successors;
use super::table::Table;

/// All that is reached without lists.
pub(super) const ROOT: u32 = 0;
/// Not in the core.
const OUT: u32 = u32::MAX;

/// The graph without lists, as far as they matter.
#[derive(Debug)]
pub(super) struct Core {
    /// Of each node its number here.
    number: Table<u32>,
    /// How many nodes there are.
    pub(super) nodes: u32,
    /// The links that own anyway, between nodes of the core.
    pub(super) links: Vec<(u32, u32)>,
}

impl Core {
    /// `held` are heads and members of lists.
    pub(super) fn of(
        base: &[(u32, u32)],
        nodes: u32,
        roots: &[u32],
        held: impl Iterator<Item = u32>,
    ) -> Self {
        let graph = Successors::of(nodes, || base.iter().copied());
        let mut number = Table::new(nodes, OUT);
        spread(&graph, roots.iter().copied(), |node| {
            let is_new = number.get(node) == Some(OUT);
            number.set(node, ROOT);
            is_new
        });
        let back = Successors::of(nodes, || base.iter().map(|(from, to)| (*to, *from)));
        let mut next = ROOT + 1;
        spread(&back, held, |node| {
            let is_new = number.get(node) == Some(OUT);
            if is_new {
                number.set(node, next);
                next += 1;
            }
            is_new
        });
        let mut core = Self {
            number,
            nodes: next,
            links: Vec::new(),
        };
        let kept = base
            .iter()
            .filter_map(|(from, to)| Some((core.number(*from)?, core.number(*to)?)));
        core.links = kept.filter(|(_, to)| *to != ROOT).collect();
        core
    }

    /// The number here of a node; `None` if it is not in the core.
    pub(super) fn number(&self, node: u32) -> Option<u32> {
        self.number.get(node).filter(|number| *number != OUT)
    }
}

/// Follows links from `open` on, as long as `take` says that a node is new.
pub(super) fn spread(
    graph: &Successors,
    open: impl Iterator<Item = u32>,
    mut take: impl FnMut(u32) -> bool,
) {
    let mut open: Vec<u32> = open.filter(|node| take(*node)).collect();
    while let Some(node) = open.pop() {
        open.extend(graph.of_node(node).filter(|target| take(*target)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lists_do_not_decide_is_left_out() {
        // 0 is a root and has 1; a list holds 2, which has 3; 3 has the head 4, and 5 that leads
        // nowhere.
        let base = [(0, 1), (2, 3), (3, 4), (3, 5), (2, 1)];
        let core = Core::of(&base, 6, &[0], [1, 2, 4].into_iter());
        let numbers: Vec<_> = (0..6).map(|node| core.number(node)).collect();
        assert_eq!(numbers[..2], [Some(ROOT), Some(ROOT)]);
        assert_eq!(numbers[5], None);
        let [two, three, four] = [2, 3, 4].map(|node: usize| numbers[node].expect("in the core"));
        assert_eq!(core.nodes, 4);
        assert_eq!(core.links, [(two, three), (three, four)]);
    }
}
