//! The graph in compact form: for each node the words in it that point to nodes, by offset.
//!
//! Input: references in any order. Output: [`Links`]. Invariants: the links of a node are sorted
//! by where they lie, one a place; numbers of links are below 2^32.

use rayon::prelude::*;

use super::table::Table;

/// A word that points to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    /// Where in the source it lies, in bytes.
    pub(super) at: u32,
    /// The node that it points to.
    pub(super) target: u32,
    /// How far behind the start of that.
    pub(super) into: u32,
}

/// A link with where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) source: u32,
    pub(super) link: Link,
}

/// All links, by source.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
    /// Of each node the number of its first link, and one more.
    first: Table<u32>,
}

impl Links {
    /// Sorts references of so many nodes.
    pub(super) fn of(nodes: u32, mut references: Vec<Reference>) -> Self {
        references.truncate(u32::MAX as usize);
        references.par_sort_unstable();
        references.dedup_by_key(|one| (one.source, one.link.at));
        let mut first = Vec::with_capacity(nodes as usize + 1);
        let mut next = 0u32;
        let mut rest = references.iter().peekable();
        for node in 0..nodes {
            first.push(next);
            while rest.next_if(|one| one.source == node).is_some() {
                next += 1;
            }
        }
        first.push(next);
        Self {
            links: references.into_iter().map(|one| one.link).collect(),
            first: first.into(),
        }
    }

    pub(super) fn nodes(&self) -> u32 {
        self.first.len().saturating_sub(1)
    }

    pub(super) fn len(&self) -> u32 {
        self.links.len() as u32
    }

    /// Number of the first link of a node; of the number of nodes, how many links there are.
    fn start(&self, node: u32) -> u32 {
        self.first.get(node).unwrap_or(self.len())
    }

    /// The links of a node with their numbers.
    pub(super) fn of_node(&self, node: u32) -> impl Iterator<Item = (u32, &Link)> + '_ {
        let (start, end) = (self.start(node), self.start(node.saturating_add(1)));
        let links = self.links.get(start as usize..end as usize);
        (start..).zip(links.unwrap_or_default())
    }

    /// The link at a place in a node.
    pub(super) fn at(&self, node: u32, at: u32) -> Option<(u32, Link)> {
        let (start, end) = (self.start(node), self.start(node.saturating_add(1)));
        let links = self.links.get(start as usize..end as usize)?;
        let place = links.binary_search_by_key(&at, |link| link.at).ok()?;
        Some((start + place as u32, *links.get(place)?))
    }

    /// All links with source and number.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, u32, &Link)> + '_ {
        let mut node = 0;
        let mut end = self.start(1);
        (0u32..).zip(&self.links).map(move |(number, link)| {
            while number >= end && node < self.nodes() {
                node += 1;
                end = self.start(node.saturating_add(1));
            }
            (node, number, link)
        })
    }
}

/// For each node some numbers: the nodes that it leads to, or others.
#[derive(Clone, Debug, Default)]
pub(super) struct Successors {
    first: Table<u32>,
    values: Table<u32>,
}

impl Successors {
    /// `pairs` is asked twice, and gives the same each time.
    pub(super) fn of<I: Iterator<Item = (u32, u32)>>(nodes: u32, pairs: impl Fn() -> I) -> Self {
        let mut first = Table::new(nodes.saturating_add(1), 0u32);
        for (node, _) in pairs() {
            let after = node.saturating_add(1);
            first.set(after, first.get(after).unwrap_or(0).saturating_add(1));
        }
        let mut sum = 0u32;
        for node in 0..first.len() {
            sum = sum.saturating_add(first.get(node).unwrap_or(0));
            first.set(node, sum);
        }
        let mut next = first.clone();
        let mut values = Table::new(sum, 0u32);
        for (node, value) in pairs() {
            if let Some(at) = next.get(node) {
                values.set(at, value);
                next.set(node, at + 1);
            }
        }
        Self { first, values }
    }

    pub(super) fn nodes(&self) -> u32 {
        self.first.len().saturating_sub(1)
    }

    pub(super) fn len_of(&self, node: u32) -> u32 {
        let start = self.first.get(node).unwrap_or(0);
        self.first.get(node.saturating_add(1)).unwrap_or(start) - start
    }

    /// The number at a place among those of a node.
    pub(super) fn get(&self, node: u32, place: u32) -> Option<u32> {
        let start = self.first.get(node)?;
        let end = self.first.get(node.checked_add(1)?)?;
        let at = start.checked_add(place)?;
        (at < end).then(|| self.values.get(at)).flatten()
    }

    pub(super) fn of_node(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        (0..self.len_of(node)).filter_map(move |place| self.get(node, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(source: u32, at: u32, target: u32, into: u32) -> Reference {
        let link = Link { at, target, into };
        Reference { source, link }
    }

    #[test]
    fn links_are_found_by_place_and_by_target() {
        let all = vec![
            reference(2, 16, 0, 8),
            reference(0, 8, 1, 0),
            reference(2, 0, 1, 24),
        ];
        let links = Links::of(4, all);
        assert_eq!((links.nodes(), links.len()), (4, 3));
        let found = links.at(2, 16).map(|(_, link)| (link.target, link.into));
        assert_eq!(found, Some((0, 8)));
        assert_eq!(links.at(2, 8), None);
        assert_eq!(links.at(1, 0), None);
    }
}
