//! Who retains how much: what would go if a module, a variable, a process went.
//!
//! Input: the graph. Output: [`RetainedFacts`]. A thing is its owner's if every way to it leads
//! through that one; what several hold is nobody's, and is told with who they are.

mod shared;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::links::Successors;
use super::strong::{Reached, Role};
use super::table::Table;
use super::{Alive, CachePaths, Container, GraphFacts};
use crate::addr::VirtAddr;
use crate::graph::Options;
use crate::kernel::{Kernel, KernelError};

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A module with its variables.
    Module,
    /// A process with its threads.
    Process,
    /// A variable of the kernel.
    Variable,
    /// What each CPU has.
    PerCpu,
    /// Stacks, page structures and pages that no variable leads to.
    Unnamed,
}

/// Things of one kind that hang on one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Their cache, or what else they are.
    pub name: String,
    /// How many of them.
    pub objects: u64,
    /// Bytes that they retain.
    pub retained_bytes: u64,
    /// What they hang on: a variable, an object.
    pub held_by: String,
    /// Where that is.
    pub holder: Option<VirtAddr>,
    /// Where in the holder: a member, an offset.
    pub place: String,
    /// Whether they are on a list whose head that is.
    pub listed: bool,
}

/// One who retains something.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// `module hoard`, `task nginx[86]`, `init_net`.
    #[serde(rename = "root")]
    pub name: String,
    /// What it is.
    pub kind: OwnerKind,
    /// The module that it is, or is a variable of.
    pub module: Option<String>,
    /// Where it is; `None` for what is in many places.
    pub address: Option<VirtAddr>,
    /// Bytes of slab objects, areas and pages that would go with it.
    pub retained_bytes: u64,
    /// How many of those there are.
    #[serde(rename = "retained_objects")]
    pub objects: u64,
    /// Bytes that it holds together with others, as far as those who share are told.
    pub shared_bytes: u64,
    /// Bytes of page cache that would go, too.
    pub page_cache_bytes: u64,
    /// Of the retained, what only links lead to that do not own by themselves.
    pub weak_bytes: u64,
    /// Where it falls apart into many: the largest groups.
    #[serde(rename = "children")]
    pub groups: Vec<Group>,
}

/// What several hold, and none alone.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    /// Who they are, some of them.
    pub by: Vec<String>,
    /// How many of them are not named.
    pub more: u64,
    /// Bytes.
    pub retained_bytes: u64,
    /// How many objects.
    pub objects: u64,
    /// What the topmost of them are.
    pub groups: Vec<Group>,
}

/// Who retains what.
#[derive(Clone, Debug, Serialize)]
pub struct RetainedFacts {
    /// Those with most first.
    pub owners: Vec<Owner>,
    /// What is shared, most first.
    pub shared: Vec<Shared>,
    /// Bytes of all slab objects in use, areas and pages of the kernel that were looked at.
    pub bytes: u64,
    /// How many of those there are.
    pub objects: u64,
    /// Bytes that nothing reaches; `None` if not all references could be kept, for then what only
    /// those lead to looks so.
    pub unreachable_bytes: Option<u64>,
    /// How many objects; `None` likewise.
    pub unreachable: Option<u64>,
    /// Bytes that one owner has alone.
    pub owned_bytes: u64,
    /// Where things pile up: in variables of modules first, then the largest.
    pub containers: Vec<Container>,
    /// How many objects of the largest caches paths lead to.
    pub paths: Vec<CachePaths>,
    /// How much was seen.
    pub graph: GraphFacts,
}

/// Things of one kind in more places than this are in an array or a table.
const PLACES: usize = 4;
/// Groups named of each owner.
const GROUPS: usize = 4;
/// One that has less than this part of what is above it, in per cent, is not what it is about.
const MOST: u64 = 80;
/// No chain of owners is longer.
const DEEPEST: usize = 1 << 20;

/// Asks a whole dump who retains what. Of one owner alone where `root` is a part of its name.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn retained(
    kernel: &Kernel,
    options: &Options<'_>,
    root: Option<&str>,
) -> Result<RetainedFacts, KernelError> {
    super::with_graph(kernel, options, |alive| Summing::of(alive).facts(root))
}

/// A class, where in the holder it hangs, and whether on a list there.
type Kind = (u32, Option<u32>, bool);
/// How many, what they retain, and one of them.
type Sum = (u64, u64, u32);

/// The tree with its sums.
struct Summing<'a, 'k> {
    alive: &'a Alive<'k>,
    bytes: Table<u64>,
    objects: Table<u64>,
    cached: Table<u64>,
    weak: Table<u64>,
    tops: Table<u32>,
    children: Successors,
}

impl<'a, 'k> Summing<'a, 'k> {
    fn of(alive: &'a Alive<'k>) -> Self {
        let tree = &alive.dominators;
        let own = |node| alive.bytes.sum(node);
        let is_weak = |node| alive.strong.reached.get(node) == Some(Reached::Weakly as u8);
        let pairs = || {
            tree.reached()
                .filter_map(|node| Some((tree.parent(node)?, node)))
        };
        Self {
            bytes: tree.sums(own),
            objects: tree.sums(|node| u64::from(own(node) > 0)),
            cached: tree.sums(|node| alive.cached.sum(node)),
            weak: tree.sums(|node| if is_weak(node) { own(node) } else { 0 }),
            tops: tree.tops(),
            children: Successors::of(alive.links.nodes(), pairs),
            alive,
        }
    }

    fn role(&self, node: u32) -> Role {
        self.alive.roles.get(node).unwrap_or(Role::Absent)
    }

    fn facts(&self, root: Option<&str>) -> RetainedFacts {
        let alive = self.alive;
        let tree = &alive.dominators;
        let tops: Vec<u32> = tree
            .reached()
            .filter(|node| tree.parent(*node).is_none())
            .collect();
        let wanted = |name: &str| root.is_none_or(|root| matches_root(name, root));
        let mut by_name: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for node in tops.iter().filter(|node| self.role(**node).is_root()) {
            if self.bytes.sum(*node) + self.cached.sum(*node) > 0 {
                by_name.entry(alive.name(*node)).or_default().push(*node);
            }
        }
        if let Some(root) = root {
            self.add_variables(root, &mut by_name);
        }
        let mut owners: Vec<Owner> = by_name
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(|(name, nodes)| self.owner(name, &nodes))
            .collect();
        owners.sort_by(|a, b| (b.retained_bytes, &a.name).cmp(&(a.retained_bytes, &b.name)));
        let of_roots = tops.iter().filter(|node| self.role(**node).is_root());
        let owned_bytes = of_roots.map(|node| self.bytes.sum(*node)).sum();
        let loose = tops.iter().filter(|node| !self.role(**node).is_root());
        let shared = self.shared(loose.copied(), &wanted);
        for owner in &mut owners {
            let own = shared.iter().filter(|one| one.by.contains(&owner.name));
            owner.shared_bytes = own.map(|one| one.retained_bytes).sum();
        }
        let all = alive.roles.iter().filter(|(_, role)| *role != Role::Absent);
        let lost = all
            .clone()
            .filter(|(node, role)| matches!(role, Role::Plain) && !tree.is_reached(*node));
        let count = |nodes: &mut dyn Iterator<Item = u32>| {
            nodes.fold((0, 0), |(bytes, objects), node| {
                let own = alive.bytes.sum(node);
                (bytes + own, objects + u64::from(own > 0))
            })
        };
        let (bytes, objects) = count(&mut all.map(|(node, _)| node));
        let unreachable = count(&mut lost.map(|(node, _)| node));
        let unreachable = (!alive.facts.out_of_memory).then_some(unreachable);
        RetainedFacts {
            owners,
            shared,
            bytes,
            objects,
            unreachable_bytes: unreachable.map(|(bytes, _)| bytes),
            unreachable: unreachable.map(|(_, objects)| objects),
            owned_bytes,
            containers: alive.containers(),
            paths: alive.paths(),
            graph: alive.facts.clone(),
        }
    }

    /// Variables of modules by their own names, where one is asked for.
    fn add_variables(&self, root: &str, by_name: &mut BTreeMap<String, Vec<u32>>) {
        let variables = self.alive.roles.iter();
        let variables = variables.filter(|(_, role)| *role == Role::ModuleVariable);
        for (node, _) in variables {
            let name = self.alive.name(node);
            if matches_root(&name, root) && self.bytes.sum(node) > 0 {
                by_name.entry(name).or_default().push(node);
            }
        }
    }

    fn owner(&self, name: String, nodes: &[u32]) -> Owner {
        let sum = |table: &Table<u64>| nodes.iter().map(|node| table.sum(*node)).sum();
        let first = nodes.first().copied().unwrap_or(0);
        let mut groups: Vec<Group> = nodes.iter().flat_map(|node| self.groups(*node)).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.retained_bytes));
        groups.truncate(GROUPS);
        Owner {
            kind: self.kind(first),
            module: self.alive.module(first),
            address: (nodes.len() == 1)
                .then(|| self.alive.address(first, 0))
                .flatten(),
            retained_bytes: sum(&self.bytes),
            objects: sum(&self.objects),
            shared_bytes: 0,
            page_cache_bytes: sum(&self.cached),
            weak_bytes: sum(&self.weak),
            groups,
            name,
        }
    }

    fn kind(&self, node: u32) -> OwnerKind {
        match self.role(node) {
            Role::Module | Role::ModuleVariable => OwnerKind::Module,
            Role::Process | Role::Thread => OwnerKind::Process,
            Role::Variable => OwnerKind::Variable,
            _ if self.alive.is_named(node) => OwnerKind::PerCpu,
            _ => OwnerKind::Unnamed,
        }
    }

    /// Down from a node to where it falls apart: while one child has nearly all of it.
    fn accumulates(&self, from: u32) -> u32 {
        let mut at = from;
        for _ in 0..DEEPEST {
            let largest = self
                .children
                .of_node(at)
                .max_by_key(|child| self.bytes.sum(*child));
            match largest {
                Some(child)
                    if self.bytes.sum(child) * 100 >= self.bytes.sum(at) * MOST
                        && self.children.len_of(child) > 0 =>
                {
                    at = child;
                }
                _ => break,
            }
        }
        at
    }

    /// What hangs on the place where a node falls apart, by kind and place, most first.
    fn groups(&self, from: u32) -> Vec<Group> {
        let holder = self.accumulates(from);
        let on_lists = self.alive.listed(holder);
        let mut direct: FxHashMap<u32, u32> = FxHashMap::default();
        for (number, link) in self.alive.links.of_node(holder) {
            if self.alive.lists.strings.get(number) == Some(false) {
                direct.entry(link.target).or_insert(link.at);
            }
        }
        let place = |child: u32| {
            let listed = on_lists.get(&child);
            (listed.is_some(), listed.or(direct.get(&child)).copied())
        };
        let mut places: FxHashMap<(u32, bool), BTreeSet<Option<u32>>> = FxHashMap::default();
        for child in self.children.of_node(holder) {
            let (listed, at) = place(child);
            let kind = (self.alive.classes.of(child), listed);
            places.entry(kind).or_default().insert(at);
        }
        let mut groups: FxHashMap<Kind, Sum> = FxHashMap::default();
        for child in self.children.of_node(holder) {
            let (listed, at) = place(child);
            let class = self.alive.classes.of(child);
            let many = places
                .get(&(class, listed))
                .is_some_and(|all| all.len() > PLACES);
            let key = (class, at.filter(|_| !many), listed);
            let (count, bytes, example) = groups.entry(key).or_insert((0, 0, child));
            *count += 1;
            *bytes += self.bytes.sum(child);
            *example = child.min(*example);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(key, (count, bytes, _))| std::cmp::Reverse((*bytes, *count, *key)));
        let largest = groups
            .into_iter()
            .take(GROUPS)
            .filter(|(_, (_, bytes, _))| *bytes > 0);
        let group = |((_, at, listed), (objects, retained_bytes, example))| Group {
            name: self.alive.class_name(example),
            objects,
            retained_bytes,
            held_by: self.alive.name(holder),
            holder: self.alive.address(holder, 0),
            place: match at {
                Some(at) => self.alive.place(holder, at),
                None => String::new(),
            },
            listed,
        };
        largest.map(group).collect()
    }
}

/// A whole name, a name without its module, a module, or a process's name or number.
fn matches_root(name: &str, root: &str) -> bool {
    let bare = name
        .strip_prefix("module ")
        .or_else(|| name.strip_prefix("task "));
    let bare = bare
        .or_else(|| name.strip_prefix("per-CPU "))
        .unwrap_or(name);
    let first = bare.split([' ', '[']).next();
    let within = bare
        .split_once('[')
        .and_then(|(_, rest)| rest.strip_suffix(']'));
    name == root || bare == root || first == Some(root) || within == Some(root)
}

impl Alive<'_> {
    /// What is on lists whose heads lie in a node, each with where the head is.
    pub(super) fn listed(&self, head: u32) -> FxHashMap<u32, u32> {
        let own = self
            .lists_in(head)
            .map(|list| (list.head.map_or(0, |(_, at)| at), &list.members));
        own.flat_map(|(at, members)| members.iter().map(move |(node, _)| (*node, at)))
            .collect()
    }
}
