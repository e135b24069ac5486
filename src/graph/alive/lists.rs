//! Lists, hash chains and trees, found by their shape: no types are needed.
//!
//! Input: the links. Output: [`Lists`]. A word at `o` of a node that points to `p` of another, whose
//! word at `p + 8` points back to `o`, is a link of a list: `next` and `prev` of a `list_head`, or
//! `next` and `pprev` of an hlist. Invariant: two stale words would have to agree to make one up.
//! A red right child of a red-black tree looks the same; classes that have left children too are
//! trees.

use rustc_hash::FxHashMap;

use super::links::{Link, Links};
use super::table::Table;

/// What a node is of: a cache, or itself where it is alone of its kind.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// Of slab objects the number of their cache.
    pub(super) of_objects: Table<u32>,
    pub(super) caches: u32,
}

impl Classes {
    pub(super) fn of(&self, node: u32) -> u32 {
        match self.of_objects.get(node) {
            Some(cache) => cache,
            None => self.caches.saturating_add(node - self.of_objects.len()),
        }
    }

    /// Whether it is a slab object, and no variable, area or page.
    pub(super) fn is_object(&self, node: u32) -> bool {
        node < self.of_objects.len()
    }
}

/// A place in a node.
pub(super) type Place = (u32, u32);

/// Things that are strung on one head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// Where the first is held; `None` for a ring of like things.
    pub(super) head: Option<Place>,
    /// Where in each member the link is, in the order of the list.
    pub(super) members: Vec<Place>,
    /// Whether it leads back to its head: a `list_head`, and no hash chain.
    pub(super) is_ring: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) lists: Vec<List>,
    /// By the number of a link, whether it only strings a list with a head together, or leads from
    /// a tree's node up to the next.
    pub(super) strings: Table<bool>,
}

/// Class and offset of a link's source and of its target.
type LinkClass = (u32, u32, u32, u32);

/// Low bits of a red-black tree's word that are no address.
const COLOUR: u32 = 3;

impl Lists {
    pub(super) fn find(links: &Links, classes: &Classes, population: &Table<u64>) -> Self {
        let trees = Trees::of(links, classes);
        let mut finder = Finder {
            links,
            classes,
            population,
            seen: Table::new(links.len(), false),
            rings: Vec::new(),
            found: Self {
                strings: Table::new(links.len(), false),
                lists: Vec::new(),
            },
        };
        for (node, number, link) in links.all() {
            if trees.leads_up(links, classes, node, link) {
                finder.found.strings.set(number, true);
                finder.seen.set(number, true);
            }
        }
        for (node, number, link) in links.all() {
            if finder.seen.get(number) == Some(false) && points_back(links, (node, link.at), link) {
                finder.walk((node, link.at));
            }
        }
        finder.head_rings();
        finder.found
    }
}

/// Whether the word behind the one that `link` points to points to `from`.
fn points_back(links: &Links, from: Place, link: &Link) -> bool {
    is_at(links, (link.target, link.into.saturating_add(8)), from)
}

/// Whether a word points to a place.
fn is_at(links: &Links, (node, at): Place, to: Place) -> bool {
    let link = links.at(node, at);
    link.is_some_and(|(_, link)| (link.target, link.into) == to)
}

struct Finder<'a> {
    links: &'a Links,
    classes: &'a Classes,
    /// How many nodes there are of each class.
    population: &'a Table<u64>,
    /// Links that are part of a list.
    seen: Table<bool>,
    /// Rings with their links: what is a head in a long one is it in a short one.
    rings: Vec<(Vec<Place>, Vec<u32>)>,
    found: Lists,
}

impl Finder<'_> {
    /// The next element, and the number of the link there.
    fn next(&self, at: Place) -> Option<(u32, Place)> {
        let (number, link) = self.links.at(at.0, at.1)?;
        let fresh = self.seen.get(number) == Some(false);
        let next = (link.target, link.into);
        (fresh && points_back(self.links, at, &link)).then_some((number, next))
    }

    fn previous(&self, at: Place) -> Option<Place> {
        let (_, back) = self.links.at(at.0, at.1.saturating_add(8))?;
        let from = (back.target, back.into);
        let (_, next) = self.next(from)?;
        (next == at).then_some(from)
    }

    /// Takes the whole list that a link is of.
    fn walk(&mut self, start: Place) {
        let mut first = start;
        // No list has more links than there are.
        for _ in 0..self.links.len() {
            match self.previous(first) {
                Some(before) if before == start => {
                    first = start;
                    break;
                }
                Some(before) => first = before,
                None => break,
            }
        }
        let mut elements = vec![first];
        let mut strings = Vec::new();
        let mut at = first;
        let mut is_ring = false;
        while let Some((number, next)) = self.next(at) {
            self.seen.set(number, true);
            strings.push(number);
            let back = self.links.at(next.0, next.1.saturating_add(8));
            strings.extend(back.map(|(number, _)| number));
            if next == first {
                is_ring = true;
                break;
            }
            elements.push(next);
            at = next;
        }
        match is_ring {
            true => self.rings.push((elements, strings)),
            false => self.add(Some(0), elements, &strings, false),
        }
    }

    fn add(
        &mut self,
        head: Option<usize>,
        mut members: Vec<Place>,
        strings: &[u32],
        is_ring: bool,
    ) {
        let head = head.map(|head| {
            members.rotate_left(head);
            members.remove(0)
        });
        if head.is_some() {
            for number in strings {
                self.found.strings.set(*number, true);
            }
        }
        self.found.lists.push(List {
            head,
            members,
            is_ring,
        });
    }

    /// Tells the heads of rings: of those that leave no choice first.
    fn head_rings(&mut self) {
        let rings = std::mem::take(&mut self.rings);
        let mut votes: FxHashMap<Place, i64> = FxHashMap::default();
        for (elements, _) in rings.iter().filter(|(elements, _)| elements.len() > 2) {
            let Some(head) = self.head_of(elements, &FxHashMap::default()) else {
                continue;
            };
            for (index, (node, at)) in elements.iter().enumerate() {
                let vote = if index == head { 1 } else { -1 };
                *votes.entry((self.classes.of(*node), *at)).or_default() += vote;
            }
        }
        for (elements, strings) in rings {
            let head = self.head_of(&elements, &votes);
            self.add(head, elements, &strings, true);
        }
    }

    /// Which element of a ring is the head: the only one of its kind. Of two, what is no object, what
    /// is a head elsewhere, or what there are fewer of.
    fn head_of(&self, elements: &[Place], votes: &FxHashMap<Place, i64>) -> Option<usize> {
        let mut kinds: FxHashMap<Place, (u32, usize)> = FxHashMap::default();
        for (index, (node, at)) in elements.iter().enumerate() {
            let kind = kinds.entry((self.classes.of(*node), *at)).or_default();
            *kind = (kind.0 + 1, index);
        }
        let alone = kinds.values().filter(|(count, _)| *count == 1);
        let heads = alone.filter_map(|(_, index)| Some((*index, *elements.get(*index)?)));
        // One that has its fellows elsewhere is a member among others.
        let rank = |(_, (node, at)): &(usize, Place)| {
            let class = self.classes.of(*node);
            let many = self.population.sum(class);
            let votes = votes.get(&(class, *at)).copied().unwrap_or(0);
            let against = std::cmp::Reverse(votes.signum());
            (self.classes.is_object(*node), against, many, *node, *at)
        };
        heads.min_by_key(rank).map(|(index, _)| index)
    }
}

/// Classes of links that are those of trees.
#[derive(Debug, Default)]
struct Trees(FxHashMap<LinkClass, (u64, u64)>);

impl Trees {
    fn of(links: &Links, classes: &Classes) -> Self {
        let mut trees = Self::default();
        for (node, _, link) in links.all() {
            let Some(side) = side(links, node, link) else {
                continue;
            };
            let class = class_of(classes, node, link);
            let (plain, tree) = trees.0.entry(class).or_default();
            match side {
                Side::Right if link.into & COLOUR == 0 => *plain += 1,
                _ => *tree += 1,
            }
        }
        trees
    }

    /// Whether a link is that of a tree's node to the one above.
    fn leads_up(&self, links: &Links, classes: &Classes, node: u32, link: &Link) -> bool {
        let counts = self.0.get(&class_of(classes, node, link));
        counts.is_some_and(|(plain, tree)| tree * 4 >= *plain) && side(links, node, link).is_some()
    }
}

/// Which child of the node above a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// `struct rb_node` has the parent with a colour, then the right and the left child.
fn side(links: &Links, node: u32, link: &Link) -> Option<Side> {
    let above = link.into & !COLOUR;
    let from = (node, link.at);
    if is_at(links, (link.target, above.saturating_add(8)), from) {
        return Some(Side::Right);
    }
    is_at(links, (link.target, above.saturating_add(16)), from).then_some(Side::Left)
}

fn class_of(classes: &Classes, node: u32, link: &Link) -> LinkClass {
    let into = link.into & !COLOUR;
    (classes.of(node), link.at, classes.of(link.target), into)
}

#[cfg(test)]
mod tests {
    use super::super::links::Reference;
    use super::*;

    /// Ten objects of cache 0, ten of cache 1, and from 20 on variables.
    fn lists(words: &[(Place, Place)]) -> (Links, Lists) {
        let of_objects: Vec<u32> = (0..20).map(|node| node / 10).collect();
        let classes = Classes {
            of_objects: of_objects.into(),
            caches: 2,
        };
        let population = Table::from(vec![10; 30]);
        let references = words
            .iter()
            .map(|((source, at), (target, into))| Reference {
                source: *source,
                link: Link {
                    at: *at,
                    target: *target,
                    into: *into,
                },
            });
        let links = Links::of(30, references.collect());
        let found = Lists::find(&links, &classes, &population);
        (links, found)
    }

    /// The words of a ring of `list_head`s.
    fn ring(elements: &[Place]) -> Vec<(Place, Place)> {
        let next = elements.iter().cycle().skip(1);
        let pairs = elements.iter().zip(next);
        let words = pairs.flat_map(|(a, b)| [(*a, *b), ((b.0, b.1 + 8), *a)]);
        words.collect()
    }

    #[test]
    fn the_odd_one_of_a_ring_is_its_head() {
        let (links, found) = lists(&ring(&[(3, 16), (20, 64), (1, 16), (2, 16)]));
        let members = vec![(1, 16), (2, 16), (3, 16)];
        let expected = List {
            head: Some((20, 64)),
            members,
            is_ring: true,
        };
        assert_eq!(found.lists, [expected]);
        assert_eq!(found.strings.iter().filter(|(_, s)| *s).count(), 8);
        assert_eq!(links.len(), 8);
    }

    #[test]
    fn of_two_what_is_no_object_is_the_head() {
        let (_, found) = lists(&ring(&[(3, 16), (20, 64)]));
        assert_eq!(found.lists[0].head, Some((20, 64)));
        // A ring of like things has none.
        let (_, found) = lists(&ring(&[(3, 16), (4, 16), (5, 16)]));
        assert_eq!(found.lists[0].head, None);
        assert!(found.strings.iter().all(|(_, strings)| !strings));
    }

    #[test]
    fn what_is_a_head_elsewhere_is_one() {
        // Children of one kind with their parents, which have children at 40 and are ones at 16.
        let long = ring(&[(9, 40), (1, 16), (2, 16)]);
        let short = ring(&[(3, 16), (4, 40)]);
        let (_, found) = lists(&[long, short].concat());
        let heads: Vec<_> = found.lists.iter().map(|list| list.head).collect();
        assert_eq!(heads, [Some((9, 40)), Some((4, 40))]);
    }

    #[test]
    fn a_hash_chain_ends() {
        let words = [
            ((20, 8), (1, 0)),
            ((1, 8), (20, 8)),
            ((1, 0), (2, 0)),
            ((2, 8), (1, 0)),
        ];
        let (_, found) = lists(&words);
        let members = vec![(1, 0), (2, 0)];
        let expected = List {
            head: Some((20, 8)),
            members,
            is_ring: false,
        };
        assert_eq!(found.lists, [expected]);
    }

    #[test]
    fn a_tree_is_no_list() {
        // 1 is above 2 (right, red) and 3 (left, black).
        let words = [
            ((2, 0), (1, 0)),
            ((1, 8), (2, 0)),
            ((3, 0), (1, 1)),
            ((1, 16), (3, 0)),
            ((20, 0), (1, 0)),
        ];
        let (links, found) = lists(&words);
        assert_eq!(found.lists, []);
        let up = |node| links.at(node, 0).map(|(number, _)| number);
        let strings = found.strings.iter().filter(|(_, strings)| *strings);
        let strings: Vec<_> = strings.map(|(number, _)| Some(number)).collect();
        assert_eq!(strings, [up(2), up(3)]);
    }
}
