//! Which kinds of lists own their members, and which are an index beside their owner.
//!
//! A kind is a class of heads with a class of members. It is an index if its members stay reachable
//! without it (mm's inode hash: each inode is held by its dentry). Asked of many kinds at once by
//! dominators: one node for each kind between its heads and its members; what that node dominates
//! would be lost.

use rustc_hash::{FxHashMap, FxHashSet};

use super::core::{Core, ROOT, spread};
use super::dominators::Dominators;
use super::links::Successors;
use super::lists::{Classes, Lists, Place};
use super::strong::Role;
use super::table::Table;

/// What may be lost without an index: one of so many.
const LOST: usize = 50;
/// Lists of one kind that overlap are asked in turn, so often at most.
const ROUNDS: usize = 24;

/// All lists of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// Each head with each of its members.
    pub(super) held: Vec<(Place, Place)>,
    state: State,
    /// Asked in that order: the kernel's variables first, modules' last.
    rank: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Owns,
    /// Its members stay reachable without it.
    Index,
    /// By its name, or since its heads own nothing.
    Known,
}

/// Class of the head and where in it, class of a member and where in it.
type Kind = (u32, u32, u32, u32);

/// All kinds of lists.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

impl Groups {
    pub(super) fn of(
        lists: &Lists,
        classes: &Classes,
        roles: &Table<Role>,
        is_index: &dyn Fn(u32, u32) -> bool,
    ) -> Self {
        let mut groups: FxHashMap<Kind, Group> = FxHashMap::default();
        let mut by_name: FxHashMap<(u32, u32), bool> = FxHashMap::default();
        for list in &lists.lists {
            let Some(head) = list.head else {
                continue;
            };
            let is_object = classes.is_object(head.0);
            let role = roles.get(head.0).unwrap_or(Role::Absent);
            for member in list.members.iter().filter(|member| member.0 != head.0) {
                let kind = (classes.of(member.0), member.1);
                // Of a table, each bucket is the same.
                let at = if is_object { head.1 } else { 0 };
                let group = groups
                    .entry((classes.of(head.0), at, kind.0, kind.1))
                    .or_default();
                if group.held.is_empty() {
                    let mut named = || {
                        *by_name
                            .entry(kind)
                            .or_insert_with(|| is_index(kind.0, kind.1))
                    };
                    if role == Role::WeakRoot || (classes.is_object(member.0) && named()) {
                        group.state = State::Known;
                    }
                    group.rank = match role {
                        _ if is_object => 1,
                        Role::ModuleVariable => 2,
                        _ => 0,
                    };
                }
                group.held.push((head, *member));
            }
        }
        let mut groups: Vec<(Kind, Group)> = groups.into_iter().collect();
        groups
            .sort_by_key(|(kind, group)| (group.rank, std::cmp::Reverse(group.held.len()), *kind));
        Self(groups.into_iter().map(|(_, group)| group).collect())
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &Group> {
        self.0.iter().filter(|group| group.state == State::Owns)
    }

    pub(super) fn dropped(&self) -> impl Iterator<Item = &Group> {
        self.0.iter().filter(|group| group.state != State::Owns)
    }

    /// Tells which are indexes, among the links `base` that own anyway.
    pub(super) fn drop_indexes(&mut self, base: &[(u32, u32)], nodes: u32, roots: &[u32]) {
        let of_lists = self.0.iter().flat_map(|group| &group.held);
        let held = of_lists.flat_map(|(head, member)| [head.0, member.0]);
        let core = Core::of(base, nodes, roots, held);
        let held: Vec<Held> = self.0.iter().map(|group| Held::of(group, &core)).collect();
        let mut lost = self.lost(&core, &held);
        for _ in 0..ROUNDS {
            let mut touched = FxHashSet::default();
            let mut dropped = false;
            for ((group, lost), held) in self.0.iter_mut().zip(&lost).zip(&held) {
                let redundant = group.state == State::Owns
                    && lost.is_some_and(|lost| lost * LOST <= group.held.len());
                // What is reached without lists is never lost: no lists overlap in it.
                let members = || held.members.iter().copied();
                if redundant && !members().any(|member| touched.contains(&member)) {
                    touched.extend(members());
                    group.state = State::Index;
                    dropped = true;
                }
            }
            if !dropped {
                break;
            }
            lost = self.lost(&core, &held);
        }
        // What no owner leads to owns nothing.
        for (group, lost) in self.0.iter_mut().zip(lost) {
            if group.state == State::Owns && lost.is_none() {
                group.state = State::Known;
            }
        }
        self.take_back(&core, &held);
    }

    /// Of each kind how many of its members would be lost without it; `None` of those that none of
    /// the members is reached by.
    fn lost(&self, core: &Core, held: &[Held]) -> Vec<Option<usize>> {
        let virtual_nodes = (core.nodes..).zip(self.0.iter().zip(held));
        let owning = virtual_nodes.filter(|(_, (group, _))| group.state == State::Owns);
        let mut pairs = Vec::new();
        for (between, (_, held)) in owning {
            pairs.extend(held.heads.iter().map(|head| (*head, between)));
            pairs.extend(held.members.iter().map(|member| (between, *member)));
        }
        let all = core.nodes.saturating_add(self.0.len() as u32);
        let graph = Successors::of(all, || core.links.iter().chain(&pairs).copied());
        let found = Dominators::of(&graph, std::iter::once(ROOT));
        let tree = Intervals::of(&found, all);
        let lost = (core.nodes..).zip(held).map(|(between, held)| {
            found.is_reached(between).then(|| {
                let members = held.members.iter();
                members
                    .filter(|member| tree.is_below(between, **member))
                    .count()
            })
        });
        lost.collect()
    }

    /// Two that each stand in for the other may both have been dropped: the later one owns after
    /// all.
    fn take_back(&mut self, core: &Core, held: &[Held]) {
        for _ in 0..ROUNDS {
            let groups = self.0.iter().zip(held);
            let kept = groups.filter(|(group, _)| group.state == State::Owns);
            let mut pairs = core.links.clone();
            for (_, held) in kept {
                pairs.extend(held.pairs.iter().copied());
            }
            let graph = Successors::of(core.nodes, || pairs.iter().copied());
            let mut reached = Table::new(core.nodes, false);
            spread(&graph, std::iter::once(ROOT), |node| {
                let is_new = reached.get(node) == Some(false);
                reached.set(node, true);
                is_new
            });
            let is_reached = |node| reached.get(node) == Some(true);
            let lost = |(group, held): &(&mut Group, &Held)| {
                let pairs = held.pairs.iter().filter(|(head, _)| is_reached(*head));
                let lost = pairs.filter(|(_, member)| !is_reached(*member)).count();
                group.state == State::Index && group.rank > 0 && lost * LOST > group.held.len()
            };
            let groups = self.0.iter_mut().zip(held);
            match groups.rev().find(lost) {
                Some((group, _)) => group.state = State::Owns,
                None => break,
            }
        }
    }
}

/// What a kind of lists holds, in the core's numbers, but for what is reached without lists.
#[derive(Debug)]
struct Held {
    heads: Vec<u32>,
    members: Vec<u32>,
    /// Head and member.
    pairs: Vec<(u32, u32)>,
}

impl Held {
    fn of(group: &Group, core: &Core) -> Self {
        let number = |place: &Place| core.number(place.0);
        let mut heads: Vec<u32> = group
            .held
            .iter()
            .filter_map(|(head, _)| number(head))
            .collect();
        heads.sort_unstable();
        heads.dedup();
        let pairs = group
            .held
            .iter()
            .filter_map(|(head, member)| Some((number(head)?, number(member)?)));
        let pairs: Vec<(u32, u32)> = pairs.filter(|(_, member)| *member != ROOT).collect();
        Self {
            heads,
            members: pairs.iter().map(|(_, member)| *member).collect(),
            pairs,
        }
    }
}

/// Who lies below whom in the tree of dominators, in constant time.
struct Intervals {
    /// Of each node how many are met before it and before the end of what it dominates.
    spans: Table<(u32, u32)>,
}

impl Intervals {
    fn of(found: &Dominators, nodes: u32) -> Self {
        let sizes = found.sums(|_| 1);
        let mut spans = Table::new(nodes, (0u32, 0u32));
        let mut next = Table::new(nodes, 0u32);
        let mut top = 0u32;
        for node in found.reached() {
            let size = sizes.sum(node) as u32;
            let start = match found.parent(node) {
                Some(above) => {
                    let start = next.get(above).unwrap_or(0);
                    next.set(above, start + size);
                    start
                }
                None => {
                    top += size;
                    top - size
                }
            };
            spans.set(node, (start, start + size));
            next.set(node, start + 1);
        }
        Self { spans }
    }

    fn is_below(&self, above: u32, node: u32) -> bool {
        let (Some((start, end)), Some((at, last))) = (self.spans.get(above), self.spans.get(node))
        else {
            return false;
        };
        at < last && start < at && at < end
    }
}

#[cfg(test)]
mod tests {
    use super::super::lists::List;
    use super::*;

    /// Objects 0 to 9 of one cache, 10 and 11 of another, 12 and 13 variables.
    fn kinds(lists: Vec<List>, base: &[(u32, u32)]) -> Vec<bool> {
        let of_objects: Vec<u32> = (0..12).map(|node| node / 10).collect();
        let classes = Classes {
            of_objects: of_objects.into(),
            caches: 2,
        };
        let mut roles = Table::new(14, Role::Plain);
        roles.set(12, Role::Variable);
        roles.set(13, Role::ModuleVariable);
        let lists = Lists {
            lists,
            strings: Table::default(),
        };
        let mut groups = Groups::of(&lists, &classes, &roles, &|_, _| false);
        groups.drop_indexes(base, 14, &[12, 13]);
        groups
            .0
            .iter()
            .map(|group| group.state == State::Owns)
            .collect()
    }

    fn list(head: Place, members: &[u32], at: u32) -> List {
        List {
            head: Some(head),
            members: members.iter().map(|node| (*node, at)).collect(),
            is_ring: true,
        }
    }

    #[test]
    fn a_table_beside_the_owner_is_an_index() {
        // The kernel's table has all that two objects hold, which the module's variable holds.
        let table = list((12, 0), &[0, 1, 2, 3], 16);
        let owners = [list((10, 8), &[0, 1], 32), list((11, 8), &[2, 3], 32)];
        let lists = [vec![table], owners.to_vec()].concat();
        assert_eq!(kinds(lists, &[(13, 10), (13, 11)]), [false, true]);
    }

    #[test]
    fn what_nothing_else_holds_is_owned() {
        assert_eq!(kinds(vec![list((12, 0), &[0, 1, 2], 16)], &[]), [true]);
        // Each of two could stand in: one of them stays, the module's.
        let both = vec![list((12, 0), &[0, 1], 16), list((13, 0), &[0, 1], 32)];
        assert_eq!(kinds(both, &[]), [false, true]);
    }
}
