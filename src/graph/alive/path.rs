//! Why one thing is alive: the way from a root to it, by links that own where there are any.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Alive;
use super::lists::List;
use super::strong::{Reached, Role};
use super::table::Table;
use crate::addr::VirtAddr;
use crate::graph::Options;
use crate::kernel::{Kernel, KernelError};

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathStep {
    /// What is there: a variable, a cache, a task.
    pub name: String,
    /// Where it begins.
    pub address: Option<VirtAddr>,
    /// Whether all ways lead through it.
    pub sole: bool,
    /// The word in it that leads on; `None` at the end.
    pub word: Option<VirtAddr>,
    /// What that is: a member, an offset, nothing for a variable itself.
    pub place: String,
    /// Where in the next one it leads.
    pub into: u64,
    /// On a list that begins there, the next one's place and the length.
    pub listed: Option<(u64, u64)>,
    /// So many of the same kind follow each other by the same member.
    pub times: u64,
}

/// Another who points to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherHolder {
    /// What holds it, with the member.
    pub name: String,
    /// Who that belongs to.
    pub owner: String,
    /// Words of this kind.
    pub references: u64,
}

/// Why something is alive.
#[derive(Clone, Debug, Serialize)]
pub struct PathFacts {
    /// From the root to it; empty if nothing leads there.
    pub steps: Vec<PathStep>,
    /// Whether only links lead there that own; not if one of them only finds, as an index does, or
    /// begins at a stack or what CPUs keep.
    pub owned: bool,
    /// Whether the root has a name.
    pub root_named: bool,
    /// Others, those with most words first.
    pub others: Vec<OtherHolder>,
}

/// Others named.
const OTHERS: usize = 8;

/// Looks for why what lies at an address is alive; `None` if nothing that can be held lies there.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn why(
    kernel: &Kernel,
    options: &Options<'_>,
    address: VirtAddr,
) -> Result<Option<PathFacts>, KernelError> {
    super::with_graph(kernel, options, |alive| {
        let (number, into) = alive.ground.node(address.0, None)?;
        let (node, _) = alive.pieces.node(number, u32::try_from(into).ok()?);
        Some(Paths::of(alive).facts(node))
    })
}

/// The shortest way to each node, by links that own.
pub(super) struct Paths<'a, 'k> {
    alive: &'a Alive<'k>,
    before: Table<u32>,
    /// Nodes in the order in which they were reached.
    order: Vec<u32>,
}

/// No node.
const NONE: u32 = u32::MAX;

impl<'a, 'k> Paths<'a, 'k> {
    pub(super) fn of(alive: &'a Alive<'k>) -> Self {
        let edges = &alive.strong.edges;
        let mut before = Table::new(edges.nodes(), NONE);
        let mut order = alive.strong.roots.clone();
        for root in &order {
            before.set(*root, *root);
        }
        let mut next = 0;
        while let Some(node) = order.get(next).copied() {
            next += 1;
            for target in edges.of_node(node) {
                if before.get(target) == Some(NONE) {
                    before.set(target, node);
                    order.push(target);
                }
            }
        }
        Self {
            alive,
            before,
            order,
        }
    }

    /// For each node that is reached the root at which its way begins.
    pub(super) fn roots(&self) -> Table<u32> {
        let mut roots = Table::new(self.before.len(), NONE);
        for node in &self.order {
            let before = self.before.get(*node).unwrap_or(NONE);
            let root = if before == *node {
                Some(before)
            } else {
                roots.get(before)
            };
            roots.set(*node, root.unwrap_or(NONE));
        }
        roots
    }

    /// From the root to a node; empty if nothing leads there.
    pub(super) fn way(&self, node: u32) -> Vec<u32> {
        let mut way = Vec::new();
        let mut at = node;
        while let Some(before) = self.before.get(at).filter(|before| *before != NONE) {
            way.push(at);
            if before == at {
                break;
            }
            at = before;
        }
        way.reverse();
        way
    }

    fn facts(&self, node: u32) -> PathFacts {
        let mut way = self.way(node);
        // The kernel's own pages begin a way where nothing leads to them.
        if way == [node] && self.alive.roles.get(node) == Some(Role::Ground) {
            way.clear();
        }
        let steps = (0..way.len()).filter_map(|index| {
            let at = *way.get(index)?;
            Some(self.step(at, way.get(index + 1).copied(), node))
        });
        PathFacts {
            steps: folded(steps),
            owned: self.alive.strong.reached.get(node) == Some(Reached::Owned as u8),
            root_named: way.first().is_some_and(|root| self.alive.is_named(*root)),
            others: self.others(node, way.iter().rev().nth(1).copied()),
        }
    }

    fn step(&self, node: u32, next: Option<u32>, end: u32) -> PathStep {
        let alive = self.alive;
        let mut step = PathStep {
            name: alive.name(node),
            address: alive.address(node, 0),
            sole: node == end || self.dominates(node, end),
            word: None,
            place: String::new(),
            into: 0,
            listed: None,
            times: 1,
        };
        let Some(next) = next else {
            return step;
        };
        let on_list = alive.list_of(node, next);
        let (at, into) = match (&on_list, alive.link(node, next)) {
            (_, Some(link)) => (link.at, link.into),
            (Some((list, place)), None) => {
                let member = list.members.get(*place as usize - 1);
                let head = list.head.map_or(0, |(_, at)| at);
                (head, member.map_or(0, |(_, at)| *at))
            }
            // A process to its thread, a module to its variable, or a list's link kept for want of
            // another.
            (None, None) => match alive
                .links
                .of_node(node)
                .find(|(_, link)| link.target == next)
            {
                Some((_, link)) => (link.at, link.into),
                None => return step,
            },
        };
        step.listed = on_list
            .filter(|_| alive.link(node, next).is_none())
            .map(|(list, place)| (place, list.members.len() as u64));
        step.word = alive.address(node, at);
        step.place = alive.place(node, at);
        step.into = u64::from(into);
        step
    }

    fn dominates(&self, node: u32, end: u32) -> bool {
        let above = |at: &u32| self.alive.dominators.parent(*at);
        std::iter::successors(Some(end), above).any(|at| at == node)
    }

    fn others(&self, node: u32, but: Option<u32>) -> Vec<OtherHolder> {
        let tops = self.alive.dominators.tops();
        let mut others: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (source, _, link) in self.alive.links.all() {
            if link.target != node || source == node || Some(source) == but {
                continue;
            }
            let place = self.alive.place(source, link.at);
            let name = match place.contains('.') {
                true => place,
                false => format!("{}{place}", self.alive.class_name(source)),
            };
            let top = tops.get(source).filter(|top| *top != NONE);
            let owner = top.map_or("nobody".to_owned(), |top| self.alive.name(top));
            *others.entry((name, owner)).or_default() += 1;
        }
        let other = |((name, owner), references)| OtherHolder {
            name,
            owner,
            references,
        };
        let mut others: Vec<OtherHolder> = others.into_iter().map(other).collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.references));
        others.truncate(OTHERS);
        others
    }
}

/// Steps of one kind by one member are one.
fn folded(steps: impl Iterator<Item = PathStep>) -> Vec<PathStep> {
    let mut all: Vec<PathStep> = Vec::new();
    for step in steps {
        match all.last_mut() {
            Some(last)
                if last.name == step.name
                    && last.place == step.place
                    && last.listed.is_none()
                    && step.listed.is_none()
                    && step.word.is_some() =>
            {
                last.times += 1;
            }
            _ => all.push(step),
        }
    }
    all
}

impl Alive<'_> {
    /// The lists whose heads lie in a node.
    pub(super) fn lists_in(&self, head: u32) -> impl Iterator<Item = &List> + '_ {
        let numbers = self.by_head.of_node(head);
        numbers.filter_map(|number| self.lists.lists.get(number as usize))
    }

    /// The list whose head lies in one node and on which the other is, with its place from 1 on.
    fn list_of(&self, head: u32, member: u32) -> Option<(&List, u64)> {
        let own = self
            .lists
            .lists
            .iter()
            .filter(|list| list.head.is_some_and(|at| at.0 == head));
        let mut found = own.filter_map(|list| {
            let place = list.members.iter().position(|(node, _)| *node == member)?;
            Some((list, place as u64 + 1))
        });
        found.next()
    }
}
