//! Why things are alive: the graph of all objects, areas, pages and variables, who owns what in it.
//!
//! Input: what is known before memory is searched. Output: `Alive`, which [`retained`] and
//! `path` ask. One pass reads all references (`read`), areas and pages are cut into pieces with
//! names (`pieces`), lists and trees are found by their shape (`lists`), links that only find are
//! told from those that own (`strong`, `indexes`, `many`), and dominators say what would go with
//! what (`dominators`). Invariant: no type is needed for any of it; types only name members.

mod containers;
mod core;
mod dominators;
mod ground;
mod indexes;
mod links;
mod lists;
mod many;
mod names;
mod path;
mod pieces;
mod reached;
mod read;
mod retained;
mod strong;
mod table;
mod tasks;

use rustc_hash::FxHashMap;
use serde::Serialize;

pub use self::containers::{Container, ContainerKind};
use self::dominators::Dominators;
use self::ground::Ground;
use self::links::{Links, Reference, Successors};
use self::lists::{Classes, Lists};
pub use self::path::{OtherHolder, PathFacts, PathStep, why};
use self::pieces::{Piece, Pieces};
pub use self::reached::CachePaths;
use self::read::{Read, Reader};
pub use self::retained::{Group, Owner, OwnerKind, RetainedFacts, Shared, retained};
use self::strong::{Known, Role, Strong};
use self::table::Table;
use self::tasks::Tasks;
use super::Options;
use super::bitmap::Bitmap;
use super::search::{Pages, Search};
use super::typed::Structures;
use crate::kernel::modules::Modules;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::SlabFacts;

/// How much of the graph there is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GraphFacts {
    /// Objects in use, areas of vmalloc and blocks of pages.
    pub nodes: u64,
    /// Words that point to one of them.
    pub references: u64,
    /// Lists, hash chains and rings.
    pub lists: u64,
    /// Pages that the dump lacks.
    pub missing_pages: u64,
    /// References that there was no memory for are left out.
    pub out_of_memory: bool,
    /// Whether all tasks, caches and areas were found.
    pub complete: bool,
}

/// The graph, and who owns what.
pub(super) struct Alive<'a> {
    kernel: &'a Kernel,
    search: &'a Search<'a>,
    ground: Ground<'a>,
    pieces: Pieces,
    links: Links,
    classes: Classes,
    /// How many nodes there are of each cache.
    population: Table<u64>,
    lists: Lists,
    /// For each node the lists whose heads lie in it.
    by_head: Successors,
    roles: Table<Role>,
    strong: Strong,
    dominators: Dominators,
    tasks: Tasks,
    /// Bytes of each node; of what is there from the boot on, none.
    bytes: Table<u64>,
    /// Bytes of page cache that hang on an inode.
    cached: Table<u64>,
    structures: Structures<'a>,
    facts: GraphFacts,
}

/// Members of lists by which things are found and not owned. Where two keep each other the shape
/// does not tell: an inode has its names, and a name its inode.
const INDEXES: [&str; 15] = [
    "i_sb_list",
    "i_hash",
    "d_alias",
    "d_lru",
    "d_hash",
    "i_lru",
    "i_io_list",
    "i_wb_list",
    "skc_node",
    "skc_nulls_node",
    "skc_bind_node",
    "sk_bind2_node",
    "skc_portaddr_node",
    "i_dentry",
    "rb",
];

/// Where things pile up in a whole dump: lists, tables and arrays, those in variables of modules
/// first, then the largest.
///
/// # Errors
/// If the slab allocator, the memmap or the tasks can't be read at all.
pub fn containers(kernel: &Kernel, options: &Options<'_>) -> Result<Vec<Container>, KernelError> {
    with_graph(kernel, options, |alive| alive.containers())
}

/// Reads the graph of a whole dump and hands it to `ask`.
fn with_graph<T>(
    kernel: &Kernel,
    options: &Options<'_>,
    ask: impl FnOnce(&Alive<'_>) -> T,
) -> Result<T, KernelError> {
    let (pages, modules, beside) = Pages::and_beside(kernel, options.progress, false)?;
    let (_, search) = Search::prepare(pages, &modules, beside)?;
    let alive = Alive::of(&search, &modules, options)?;
    Ok(ask(&alive))
}

impl<'a> Alive<'a> {
    pub(super) fn of(
        search: &'a Search<'a>,
        modules: &Modules,
        options: &Options<'_>,
    ) -> Result<Self, KernelError> {
        let kernel = search.kernel;
        let ground = Ground::of(search);
        let (read, slabs) = read_all(search, &ground, options)?;
        let live = read.live;
        let named = Named::of(search, &ground, modules, read.references, &live);
        let (pieces, links) = (named.pieces, named.links);
        let classes = classes(search);
        let tasks = Tasks::read(kernel, search, &ground);
        let roles = roles(&pieces, &tasks, ground.first_area(), |object| {
            live.get(object)
        });
        let (bytes, cached) = weights(&ground, &pieces, &roles);
        let population = population(&classes, &roles);
        let lists = Lists::find(&links, &classes, &population);
        let by_head = Successors::of(links.nodes(), || {
            let numbered = (0u32..).zip(&lists.lists);
            numbered.filter_map(|(number, list)| Some((list.head?.0, number)))
        });
        let structures = Structures::new(kernel, search.heap.caches());
        let is_index = |cache, at| names::is_called(&structures, (cache, at), &INDEXES);
        let belongings = [named.belongings, tasks.threads.clone()].concat();
        let strong = Strong::of(&Known {
            links: &links,
            classes: &classes,
            lists: &lists,
            roles: &roles,
            belongings: &belongings,
            is_index: &is_index,
        });
        let dominators = Dominators::of(&strong.edges, strong.roots.iter().copied());
        let nodes = roles
            .iter()
            .filter(|(_, role)| matches!(role, Role::Plain | Role::Ground));
        if read.is_full {
            kernel.diag.warn(
                "references-dropped",
                "there was no memory for all references: what only those lead to has no owner here (give a larger --max-memory)",
            );
        }
        let facts = GraphFacts {
            nodes: nodes.count() as u64,
            references: u64::from(links.len()),
            lists: lists.lists.len() as u64,
            missing_pages: read.missing,
            out_of_memory: read.is_full,
            complete: !read.is_full && is_complete(search, &slabs),
        };
        Ok(Self {
            kernel,
            search,
            ground,
            pieces,
            links,
            classes,
            population,
            lists,
            by_head,
            roles,
            strong,
            dominators,
            tasks,
            bytes,
            cached,
            structures,
            facts,
        })
    }
}

/// All references, and what is known of slabs.
fn read_all(
    search: &Search<'_>,
    ground: &Ground<'_>,
    options: &Options<'_>,
) -> Result<(Read, SlabFacts), KernelError> {
    let reader = Reader::new(search, ground, options.memory);
    let progress = options.progress;
    progress.start("reading references", search.kinds.index().len() as u64);
    reader.pages();
    let stacks = &search.stacks.stacks;
    reader.stacks(ground.end(), stacks);
    reader.page_structures(ground.end().saturating_add(stacks.len() as u32));
    let slabs = search
        .heap
        .facts_with(&search.prepared, progress, &reader)?;
    Ok((reader.finish(), slabs))
}

/// Pieces with names, and the links between them.
struct Named {
    pieces: Pieces,
    links: Links,
    /// Modules with their variables.
    belongings: Vec<(u32, u32)>,
}

impl Named {
    fn of(
        search: &Search<'_>,
        ground: &Ground<'_>,
        modules: &Modules,
        references: Vec<Reference>,
        live: &Bitmap,
    ) -> Self {
        let first = Pieces::of(search.kernel, ground, modules);
        let mut pieces = Pieces::at_pointers(ground, &first, &references);
        let stacks = (ground.end(), pieces.end());
        pieces.extend((0..search.stacks.stacks.len() as u32).map(Piece::Stack));
        pieces.extend(std::iter::once(Piece::PageStructures));
        let references = renumbered(references, &pieces, stacks, |node| live.get(node));
        let belongings = module_nodes(&mut pieces, ground.first_area());
        Self {
            links: Links::of(pieces.end(), references),
            pieces,
            belongings,
        }
    }
}

/// Whether all was found that the graph hangs on.
fn is_complete(search: &Search<'_>, slabs: &SlabFacts) -> bool {
    let gaps = search.gaps + search.areas.gaps + search.omitted.gaps;
    let structures = slabs.missing_page_structs + search.memmap.lost_pages();
    let lost = slabs.stray_slabs + search.heap.broken_lists() + gaps + structures;
    lost == 0
        && slabs.complete
        && slabs.caches.iter().all(|cache| cache.exact.complete)
        && search.stacks.complete
        && search.areas.complete
}

/// References between pieces; those to what is free are stale.
fn renumbered(
    mut references: Vec<Reference>,
    pieces: &Pieces,
    (first_stack, stack_nodes): (u32, u32),
    is_live: impl Fn(u32) -> bool,
) -> Vec<Reference> {
    references.retain_mut(|one| {
        if !is_live(one.link.target) {
            return false;
        }
        (one.link.target, one.link.into) = pieces.node(one.link.target, one.link.into);
        match one.source.checked_sub(first_stack) {
            Some(beyond) => one.source = stack_nodes + beyond,
            None => (one.source, one.link.at) = pieces.node(one.source, one.link.at),
        }
        let (link, own) = (one.link, one.source == one.link.target);
        !(own && (link.into == link.at || link.into + 8 == link.at))
    });
    references
}

/// A node for each module, with its variables.
fn module_nodes(pieces: &mut Pieces, first: u32) -> Vec<(u32, u32)> {
    let mut variables: FxHashMap<Box<str>, Vec<u32>> = FxHashMap::default();
    for (node, piece) in (first..).zip(&pieces.pieces) {
        if let Piece::Variable(_, Some(module)) = piece {
            variables.entry(module.clone()).or_default().push(node);
        }
    }
    let mut modules: Vec<_> = variables.into_iter().collect();
    modules.sort();
    let mut belongings = Vec::new();
    for (module, variables) in modules {
        let node = pieces.end();
        pieces.extend(std::iter::once(Piece::Module(module)));
        belongings.extend(variables.into_iter().map(|variable| (node, variable)));
    }
    belongings
}

fn classes(search: &Search<'_>) -> Classes {
    let mut of_objects = Table::new(search.targets.objects, u32::MAX);
    for slab in &search.targets.slabs {
        for object in slab.numbers() {
            of_objects.set(object, slab.cache);
        }
    }
    Classes {
        of_objects,
        caches: search.heap.caches().len() as u32 + 1,
    }
}

fn roles(
    pieces: &Pieces,
    tasks: &Tasks,
    objects: u32,
    is_live: impl Fn(u32) -> bool,
) -> Table<Role> {
    let mut roles = Table::new(objects, Role::Absent);
    for object in (0..objects).filter(|object| is_live(*object)) {
        roles.set(object, Role::Plain);
    }
    for piece in &pieces.pieces {
        roles.push(match piece {
            Piece::Variable(_, Some(_)) => Role::ModuleVariable,
            Piece::Variable(_, None) => Role::Variable,
            Piece::Module(_) => Role::Module,
            Piece::Area => Role::Plain,
            Piece::Pages | Piece::Boot => Role::Ground,
            Piece::PerCpu(_) | Piece::Stack(_) | Piece::PageStructures => Role::WeakRoot,
        });
    }
    for task in tasks.processes() {
        roles.set(task, Role::Process);
    }
    for (_, thread) in &tasks.threads {
        roles.set(*thread, Role::Thread);
    }
    roles
}

/// Bytes of nodes, and what files have in the page cache, by inode.
fn weights(ground: &Ground<'_>, pieces: &Pieces, roles: &Table<Role>) -> (Table<u64>, Table<u64>) {
    let mut bytes = Table::new(pieces.end(), 0u64);
    let mut cached = Table::new(pieces.end(), 0u64);
    for slab in &ground.targets.slabs {
        for object in slab.numbers() {
            if roles.get(object) != Some(Role::Absent) {
                bytes.set(object, u64::from(slab.stride));
            }
        }
    }
    let areas: FxHashMap<u32, u64> = ground
        .areas
        .holders()
        .map(|(number, area)| (number, area.pages << ground.shift))
        .collect();
    for (node, piece) in (ground.first_area()..).zip(&pieces.pieces) {
        let Some((number, _)) = pieces.place(node) else {
            continue;
        };
        let block = number.checked_sub(ground.first_block());
        let block = block.and_then(|place| ground.blocks.get(place as usize));
        match piece {
            Piece::Area => bytes.set(node, areas.get(&number).copied().unwrap_or(0)),
            Piece::Pages => bytes.set(node, block.map_or(0, |block| block.pages << ground.shift)),
            _ => {}
        }
    }
    for (mapping, size) in &ground.files {
        if let Some((inode, _)) = ground.targets.object(mapping.0 & !3) {
            cached.add(inode, *size);
        }
    }
    (bytes, cached)
}

/// How many nodes there are of each class.
fn population(classes: &Classes, roles: &Table<Role>) -> Table<u64> {
    let mut population = Table::new(classes.caches, 0u64);
    for (node, _) in roles.iter().filter(|(_, role)| *role != Role::Absent) {
        if classes.is_object(node) {
            population.add(classes.of(node), 1);
        }
    }
    population
}
