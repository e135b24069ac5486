//! What becomes reachable through objects that were passed before it was known that they
//! are; and what is left.

use rayon::prelude::*;

use super::bitmap::Bitmap;
use super::scan::Edge;

/// So many references are followed at a time.
const SHARE: usize = 4 << 10;

/// References in memory, by their source.
#[derive(Debug)]
pub(crate) struct Edges(Vec<Edge>);

impl Edges {
    /// `edges` need not be sorted, but those of one source stand together.
    pub(crate) fn new(mut edges: Vec<Edge>) -> Self {
        if !edges.is_sorted_by_key(|edge| edge.0) {
            edges.sort_unstable();
        }
        Self(edges)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Edge> + '_ {
        self.0.iter().copied()
    }

    /// What `source` points to.
    fn of(&self, source: u32) -> impl Iterator<Item = u32> + '_ {
        let start = self.0.partition_point(|edge| edge.0 < source);
        let rest = self.0.get(start..).unwrap_or_default();
        let targets = rest.iter().take_while(move |edge| edge.0 == source);
        targets.map(|edge| edge.1)
    }

    /// Marks all that can be reached from what is marked. Whoever marks an object follows it.
    pub(crate) fn propagate(&self, marked: &Bitmap) {
        let follow = |edge: &Edge, work: &mut Vec<u32>| {
            if marked.set(edge.1) {
                work.push(edge.1);
            }
        };
        self.0
            .par_chunks(SHARE)
            .for_each_init(Vec::new, |work, edges| {
                for edge in edges.iter().filter(|edge| marked.get(edge.0)) {
                    follow(edge, work);
                    while let Some(object) = work.pop() {
                        for target in self.of(object) {
                            follow(&(object, target), work);
                        }
                    }
                }
            });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_and_chains_are_followed_once() {
        // 1 -> 2 -> 3 -> 1, 5 -> 6, 7 -> 7; only 2 is known.
        let edges = Edges::new(vec![(5, 6), (1, 2), (2, 3), (3, 1), (7, 7)]);
        let marked = Bitmap::new(8);
        marked.set(2);
        edges.propagate(&marked);
        let reached: Vec<u32> = (0..8).filter(|bit| marked.get(*bit)).collect();
        assert_eq!(reached, [1, 2, 3]);
    }

    #[test]
    fn what_was_marked_from_elsewhere_is_a_source_too() {
        let edges = Edges::new(vec![(4, 5), (5, 6)]);
        let marked = Bitmap::new(8);
        marked.set(5);
        edges.propagate(&marked);
        assert!(marked.get(6) && !marked.get(4));
    }
}
