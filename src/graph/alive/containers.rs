//! Where things pile up: lists, tables of lists and arrays of pointers, with how many of which cache
//! each holds, and how long others of its kind are.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Alive;
use super::lists::Place;
use super::path::Paths;
use super::strong::Role;
use crate::addr::VirtAddr;

/// How things are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerKind {
    /// A list.
    List,
    /// Lists whose heads lie in one place: a hash table.
    Table,
    /// An array of pointers.
    Array,
}

/// Many things of one cache that are held together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    /// How.
    pub kind: ContainerKind,
    /// The cache that they are of.
    pub cache: String,
    /// The address of that cache; `None` of what is no slab object.
    pub cache_address: Option<VirtAddr>,
    /// How many there are.
    pub objects: u64,
    /// How many objects of that cache are in use.
    pub of_cache: u64,
    /// What the head or array lies in: a variable, a cache, pages.
    pub holder: String,
    /// Where the way to it begins: a variable, a module, a task.
    pub root: Option<String>,
    /// Where in it.
    pub place: String,
    /// Where that is.
    pub address: Option<VirtAddr>,
    /// The module whose variable it is.
    pub module: Option<String>,
    /// Whether the holder is a variable of the kernel or of a module.
    pub in_variable: bool,
    /// Others that hold such things by the same member.
    pub others: u64,
    /// How many the largest of those holds.
    pub next: u64,
}

/// Fewer are no pile.
const LEAST: u64 = 8;
/// As many lists in one place are a table.
const BUCKETS: usize = 4;
/// Containers told, the largest first.
const TOLD: usize = 32;

/// What a container holds: a class, and where in each the link is.
type Held = (u32, Option<u32>);

/// The holder, what it holds by which place, the kind, how many.
#[derive(Clone, Debug)]
struct Pile {
    kind: ContainerKind,
    holder: Place,
    held: Held,
    objects: u64,
    example: u32,
}

impl Alive<'_> {
    /// The largest containers, those of modules first.
    pub(super) fn containers(&self) -> Vec<Container> {
        let mut piles = self.lists_as_piles();
        piles.extend(self.arrays());
        piles.retain(|pile| pile.objects >= LEAST);
        let mut kinds: FxHashMap<(ContainerKind, Held), Vec<u64>> = FxHashMap::default();
        for pile in &piles {
            kinds
                .entry((pile.kind, pile.held))
                .or_default()
                .push(pile.objects);
        }
        for lengths in kinds.values_mut() {
            lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
        let roots = Paths::of(self).roots();
        let root = |node| {
            roots
                .get(node)
                .filter(|root| *root != u32::MAX && *root != node)
        };
        let is_module = |node| {
            let role = self.roles.get(node);
            matches!(role, Some(Role::Module | Role::ModuleVariable))
        };
        // In its variable, or in what that leads to.
        let of_module = |pile: &Pile| {
            let holder = pile.holder.0;
            is_module(holder) || root(holder).is_some_and(is_module)
        };
        piles.sort_by_key(|pile| {
            let key = (!of_module(pile), std::cmp::Reverse(pile.objects));
            (key, pile.holder, pile.held)
        });
        let (own, others): (Vec<Pile>, Vec<Pile>) = piles.into_iter().partition(of_module);
        let told = own
            .into_iter()
            .take(TOLD)
            .chain(others.into_iter().take(TOLD));
        let told = told.map(|pile| Container {
            root: root(pile.holder.0).map(|root| self.name(root)),
            ..self.told(&pile, kinds.get(&(pile.kind, pile.held)))
        });
        told.collect()
    }

    fn lists_as_piles(&self) -> Vec<Pile> {
        let mut piles: FxHashMap<(u32, Held), (BTreeSet<u32>, u64, u32)> = FxHashMap::default();
        for list in &self.lists.lists {
            let Some(head) = list.head else {
                continue;
            };
            for (member, at) in &list.members {
                let held = (self.classes.of(*member), Some(*at));
                let pile = piles.entry((head.0, held));
                let (heads, objects, _) = pile.or_insert((BTreeSet::new(), 0, *member));
                heads.insert(head.1);
                *objects += 1;
            }
        }
        let piles = piles.into_iter();
        let pile = piles.map(|((node, held), (heads, objects, example))| Pile {
            kind: match heads.len() >= BUCKETS {
                true => ContainerKind::Table,
                false => ContainerKind::List,
            },
            holder: (node, heads.first().copied().unwrap_or(0)),
            held,
            objects,
            example,
        });
        pile.collect()
    }

    /// Nodes with many words that point to the starts of distinct objects of one cache.
    fn arrays(&self) -> Vec<Pile> {
        let mut piles = Vec::new();
        for node in 0..self.links.nodes() {
            if self.links.of_node(node).nth(LEAST as usize - 1).is_none() {
                continue;
            }
            let mut classes: FxHashMap<u32, (BTreeSet<u32>, u32)> = FxHashMap::default();
            for (_, link) in self.links.of_node(node) {
                if link.into == 0 && self.classes.is_object(link.target) {
                    let class = self.classes.of(link.target);
                    let (targets, _) = classes.entry(class).or_insert((BTreeSet::new(), link.at));
                    targets.insert(link.target);
                }
            }
            let pile = |(class, (targets, at)): (u32, (BTreeSet<u32>, u32))| Pile {
                kind: ContainerKind::Array,
                holder: (node, at),
                held: (class, None),
                objects: targets.len() as u64,
                example: targets.first().copied().unwrap_or(0),
            };
            piles.extend(classes.into_iter().map(pile));
        }
        piles
    }

    fn told(&self, pile: &Pile, lengths: Option<&Vec<u64>>) -> Container {
        let lengths = lengths.map_or(&[][..], Vec::as_slice);
        let next = lengths
            .iter()
            .skip_while(|length| **length > pile.objects)
            .nth(1);
        let caches = self.search.heap.caches();
        let class = self.classes.of(pile.example);
        Container {
            kind: pile.kind,
            cache: self.class_name(pile.example),
            cache_address: caches.get(class as usize).map(|cache| cache.address),
            objects: pile.objects,
            of_cache: self.population.sum(class),
            holder: self.name(pile.holder.0),
            root: None,
            place: self.place(pile.holder.0, pile.holder.1),
            address: self.address(pile.holder.0, pile.holder.1),
            module: self.module(pile.holder.0),
            in_variable: matches!(
                self.roles.get(pile.holder.0),
                Some(Role::Variable | Role::ModuleVariable)
            ),
            others: lengths.len().saturating_sub(1) as u64,
            next: next.copied().unwrap_or(0),
        }
    }
}
