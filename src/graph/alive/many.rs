//! Members that many of one kind point to few others with: a child's parent, a file's mount.
//!
//! Such a member owns nothing, and leads back up. Counted are the words and the nodes that they
//! point to; of very many links the nodes are sampled.

use rustc_hash::{FxHashMap, FxHashSet};

use super::links::{Link, Links};
use super::lists::Classes;

/// Fewer words say nothing.
const WORDS: u64 = 8;
/// So many words a node.
const EACH: u64 = 4;
/// Links beyond which nodes are sampled.
const SAMPLED: u32 = 1 << 24;

/// Class of the source, where in it, class of the target.
type Member = (u32, u32, u32);

/// Which members they are.
#[derive(Debug, Default)]
pub(super) struct Many(FxHashSet<Member>);

impl Many {
    pub(super) fn of(links: &Links, classes: &Classes) -> Self {
        let shift = (links.len() / SAMPLED)
            .checked_ilog2()
            .map_or(0, |log| log + 1);
        let mut counts: FxHashMap<Member, (u64, u64, FxHashSet<u32>)> = FxHashMap::default();
        for (node, _, link) in links.all() {
            if !classes.is_object(node) {
                continue;
            }
            let (words, sampled, nodes) = counts.entry(member(classes, node, link)).or_default();
            *words += 1;
            if is_sampled(link.target, shift) {
                *sampled += 1;
                nodes.insert(link.target);
            }
        }
        let many = counts.into_iter().filter(|(_, (words, sampled, nodes))| {
            // Of few nodes none may be in the sample.
            *words >= WORDS << shift && *sampled >= EACH * nodes.len() as u64
        });
        Self(many.map(|(member, _)| member).collect())
    }

    pub(super) fn are_many(&self, classes: &Classes, node: u32, link: &Link) -> bool {
        classes.is_object(node) && self.0.contains(&member(classes, node, link))
    }
}

fn member(classes: &Classes, node: u32, link: &Link) -> Member {
    (classes.of(node), link.at, classes.of(link.target))
}

fn is_sampled(node: u32, shift: u32) -> bool {
    node.wrapping_mul(0x9e37_79b1) & ((1 << shift) - 1) == 0
}

#[cfg(test)]
mod tests {
    use super::super::links::Reference;
    use super::*;

    #[test]
    fn a_parent_is_what_many_point_to() {
        let classes = Classes {
            of_objects: vec![0; 40].into(),
            caches: 1,
        };
        // At 8 all point to one of two parents, at 16 each to a node of its own.
        let references = (0..16u32).flat_map(|node| {
            let link = |at, target| Link {
                at,
                target,
                into: 0,
            };
            [link(8, 38 + node % 2), link(16, node + 16)]
                .map(|link| Reference { source: node, link })
        });
        let links = Links::of(40, references.collect());
        let many = Many::of(&links, &classes);
        let found = links
            .of_node(3)
            .map(|(_, link)| many.are_many(&classes, 3, link));
        assert_eq!(found.collect::<Vec<_>>(), [true, false]);
    }
}
