//! Which links own, and which only find: the strong graph, on which dominators say something.
//!
//! Input: links, lists, roots. Output: [`Strong`]. A list's head holds each of its members. Weak is
//! what strings lists together, what many of one kind point to few with (a child to its parent),
//! what stacks and CPUs hold, and each kind of list without which all of its members stay reachable:
//! an index. What is then not reached gets one weak link, the best, and is remembered.

use super::indexes::{Group, Groups};
use super::links::{Links, Successors};
use super::lists::{Classes, Lists, Place};
use super::many::Many;
use super::table::Table;

/// What a node is, as far as owning goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Holds what it points to, and is held by what points to it.
    Plain,
    /// A module, which has its variables.
    Module,
    /// The first task of a process, which has its threads.
    Process,
    /// A variable of the kernel.
    Variable,
    /// Held by the module or process that it belongs to, whatever points to it: a module's
    /// variable.
    ModuleVariable,
    /// Likewise: a thread.
    Thread,
    /// Pages of the kernel: as plain, and a beginning where nothing points to them.
    Ground,
    /// Always there, but no owner: stacks, what CPUs have, page structures, unnamed pages.
    WeakRoot,
    /// Free, or not there.
    Absent,
}

impl Role {
    pub(super) fn is_root(self) -> bool {
        matches!(
            self,
            Self::Module | Self::Process | Self::Variable | Self::WeakRoot
        )
    }

    /// Whether others can hold it.
    fn is_held(self) -> bool {
        matches!(self, Self::Plain | Self::Ground)
    }

    /// Whether what it points to is its own.
    fn owns(self) -> bool {
        !matches!(self, Self::WeakRoot | Self::Absent)
    }
}

/// How a node was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// From a root, by links that own.
    Owned,
    /// Only by a link that does not own by itself, or behind such a one.
    Weakly,
    /// Not at all.
    Not,
}

/// The graph that owns.
#[derive(Clone, Debug, Default)]
pub(super) struct Strong {
    pub(super) edges: Successors,
    /// How each node was reached.
    pub(super) reached: Table<u8>,
    /// Roots, those first whose names tell most.
    pub(super) roots: Vec<u32>,
}

/// All that is known of the graph.
pub(super) struct Known<'a> {
    pub(super) links: &'a Links,
    pub(super) classes: &'a Classes,
    pub(super) lists: &'a Lists,
    pub(super) roles: &'a Table<Role>,
    /// Modules with their variables, processes with their threads.
    pub(super) belongings: &'a [(u32, u32)],
    /// Whether lists by this member (cache and offset) are an index by their name.
    pub(super) is_index: &'a dyn Fn(u32, u32) -> bool,
}

impl Known<'_> {
    fn role(&self, node: u32) -> Role {
        self.roles.get(node).unwrap_or(Role::Absent)
    }
}

impl Strong {
    pub(super) fn of(known: &Known<'_>) -> Self {
        let many = Many::of(known.links, known.classes);
        let base = Base::of(known, &many);
        let mut roots: Vec<u32> = known
            .roles
            .iter()
            .filter(|(_, role)| role.is_root())
            .map(|(node, _)| node)
            .collect();
        roots.sort_by_key(|node| (known.role(*node), *node));
        let strong = roots
            .iter()
            .copied()
            .filter(|root| known.role(*root).owns());
        let owners: Vec<u32> = strong.collect();
        let mut groups = Groups::of(known.lists, known.classes, known.roles, known.is_index);
        groups.drop_indexes(&base.pairs, known.links.nodes(), &owners);
        let mut reach = Reach::new(known, base, groups.kept());
        for root in &owners {
            reach.take(*root, Reached::Owned);
        }
        reach.spread();
        reach.fall_back(&many, &roots, groups.dropped());
        reach.finish(roots)
    }
}

/// The links that own, without those of lists.
struct Base {
    pairs: Vec<(u32, u32)>,
}

impl Base {
    fn of(known: &Known<'_>, many: &Many) -> Self {
        let mut pairs = known.belongings.to_vec();
        for (node, number, link) in known.links.all() {
            let strong = known.lists.strings.get(number) == Some(false)
                && known.role(node).owns()
                && known.role(link.target).is_held()
                && node != link.target
                && !many.are_many(known.classes, node, link);
            if strong && pairs.last() != Some(&(node, link.target)) {
                pairs.push((node, link.target));
            }
        }
        Self { pairs }
    }
}

/// What is reached, and by what.
struct Reach<'a> {
    known: &'a Known<'a>,
    edges: Successors,
    extra: Vec<(u32, u32)>,
    pairs: Vec<(u32, u32)>,
    how: Table<u8>,
    /// In the order in which they were reached.
    met: Vec<u32>,
    /// How many of those were followed.
    followed: usize,
    late: Vec<u32>,
}

impl<'a> Reach<'a> {
    fn new<'g>(known: &'a Known<'a>, base: Base, kept: impl Iterator<Item = &'g Group>) -> Self {
        let mut pairs = base.pairs;
        for group in kept {
            let of_head = |(head, member): &(Place, Place)| (head.0, member.0);
            let held = group.held.iter().map(of_head);
            let plain = |(_, member): &(u32, u32)| known.role(*member).is_held();
            pairs.extend(held.filter(plain));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let edges = Successors::of(known.links.nodes(), || pairs.iter().copied());
        Self {
            how: Table::new(known.links.nodes(), Reached::Not as u8),
            edges,
            extra: Vec::new(),
            pairs,
            known,
            met: Vec::new(),
            followed: 0,
            late: Vec::new(),
        }
    }

    fn take(&mut self, node: u32, how: Reached) {
        if self.how.get(node) == Some(Reached::Not as u8) {
            self.how.set(node, how as u8);
            self.met.push(node);
        }
    }

    /// Follows what owns from all that was taken.
    fn spread(&mut self) {
        while let Some(node) = self.met.get(self.followed).copied() {
            self.followed += 1;
            let how = match self.how.get(node) {
                Some(0) => Reached::Owned,
                _ => Reached::Weakly,
            };
            for place in 0..self.edges.len_of(node) {
                if let Some(target) = self.edges.get(node, place) {
                    self.take(target, how);
                }
            }
        }
    }

    /// A node that nothing reaches that owns gets one link from what is reached.
    fn hold(&mut self, from: u32, to: u32) {
        let missed = self.how.get(to) == Some(Reached::Not as u8);
        if missed && self.known.role(to).is_held() && from != to {
            self.extra.push((from, to));
            self.take(to, Reached::Weakly);
            self.spread();
        }
    }

    /// First indexes, then what many point to, then what does not own, then any word: in that order
    /// they say most of who keeps it.
    fn fall_back<'g>(
        &mut self,
        many: &Many,
        roots: &[u32],
        dropped: impl Iterator<Item = &'g Group>,
    ) {
        let of_lists: Vec<(u32, u32)> = dropped
            .flat_map(|group| group.held.iter().map(|(head, member)| (head.0, member.0)))
            .collect();
        let heads = Successors::of(self.known.links.nodes(), || of_lists.iter().copied());
        self.rounds(|this, node| {
            for place in 0..heads.len_of(node) {
                if let Some(member) = heads.get(node, place) {
                    this.hold(node, member);
                }
            }
        });
        let known = self.known;
        self.rounds(|this, node| {
            for (_, link) in known.links.of_node(node) {
                if many.are_many(known.classes, node, link) {
                    this.hold(node, link.target);
                }
            }
        });
        for root in roots {
            self.take(*root, Reached::Weakly);
        }
        self.spread();
        self.rounds(|this, node| {
            for place in 0..heads.len_of(node) {
                if let Some(member) = heads.get(node, place) {
                    this.hold(node, member);
                }
            }
        });
        let any = |this: &mut Self, node| {
            for (_, link) in known.links.of_node(node) {
                this.hold(node, link.target);
            }
        };
        self.rounds(any);
        for (node, role) in known.roles.iter() {
            if role == Role::Ground && self.how.get(node) == Some(Reached::Not as u8) {
                self.late.push(node);
                self.take(node, Reached::Weakly);
                self.spread();
            }
        }
        self.rounds(any);
    }

    /// Asks all that is reached, and what is reached by that.
    fn rounds(&mut self, ask: impl Fn(&mut Self, u32)) {
        let mut asked = 0;
        while let Some(node) = self.met.get(asked).copied() {
            asked += 1;
            ask(self, node);
        }
    }

    fn finish(mut self, mut roots: Vec<u32>) -> Strong {
        self.pairs.extend(self.extra);
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let nodes = self.known.links.nodes();
        roots.extend(self.late);
        Strong {
            edges: Successors::of(nodes, || self.pairs.iter().copied()),
            reached: self.how,
            roots,
        }
    }
}
