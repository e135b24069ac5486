//! Memory cgroups: who is charged for how much, and which were removed but are not gone.
//!
//! Layer: subsys. Input: the tree below `root_mem_cgroup`. Output: [`MemcgFacts`], a cgroup before
//! those below it. Invariants: the walk has no recursion, meets no cgroup twice and says when a
//! list was cut short; what can't be read of a cgroup is `None`, and the others go on.

mod count;
mod held;
mod layouts;
mod names;
mod objcgs;
mod owner;
mod stats;
mod tree;

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use serde::Serialize;

pub use self::count::{MemcgCount, count};
pub use self::held::{HeldBy, HeldFile};
use self::layouts::MemcgLayout;
pub(crate) use self::names::CgroupNames;
use self::names::{Named, Names};
use self::objcgs::{ObjcgReader, Objcgs};
pub use self::owner::Group;
pub(crate) use self::owner::Groups;
use self::stats::{Counted, Stats};
use self::tree::Below;
use crate::addr::VirtAddr;
use crate::kernel::{Kernel, KernelError};

/// The kernel's ids of memory cgroups that are online have 16 bits; those that are removed and
/// not gone have no bound.
const MAX_MEMCGS: usize = 1 << 20;
/// CSS_ONLINE (include/linux/cgroup-defs.h).
const ONLINE: u64 = 1 << 1;

/// One memory cgroup.
#[derive(Clone, Debug, Serialize)]
pub struct Memcg {
    /// Address of its `struct mem_cgroup`.
    pub address: VirtAddr,
    /// The one above it, by its place in the list.
    #[serde(skip)]
    pub parent: Option<usize>,
    /// How far below the root.
    pub depth: usize,
    /// From the root of its hierarchy; `None` if it can't be read.
    pub path: Option<String>,
    /// The number that the memory controller gave it; it may go to another once it is removed.
    pub id: u64,
    /// The number of its directory, by which eBPF and systemd know it.
    pub cgroup_id: Option<u64>,
    /// Address of its `struct cgroup`.
    pub cgroup: VirtAddr,
    /// Whether it was removed, but something holds it.
    pub dying: bool,
    /// By the kernel's counter, cgroups below it that were removed and are not gone.
    pub dying_descendants: Option<u64>,
    /// memory.current: bytes charged to it and those below it.
    pub current: u64,
    /// memory.max; `None` without a limit.
    pub max: Option<u64>,
    /// memory.swap.current, with cgroup v2.
    pub swap: Option<u64>,
    /// What memory.stat tells: bytes of it and those below it by name, with what CPUs and cgroups
    /// below had not handed over.
    pub stat: Option<BTreeMap<&'static str, u64>>,
    /// Of these, what the kernel's own sums lacked at the crash; negative where they were too
    /// high. Those of 0 are left out.
    pub unflushed: Option<BTreeMap<&'static str, i64>>,
    /// Its obj_cgroups: its own, those that it has from removed ones, and bytes that they hold
    /// charged in advance (`nr_charged_bytes`).
    pub objcgs: Option<ObjcgFacts>,
    /// Of one that was removed: the pages that are charged to it still. From 7.0 on they are handed
    /// to the one above it.
    pub held_by: Option<HeldBy>,
}

/// The obj_cgroups of a memory cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjcgFacts {
    /// Its own: one, or one a node.
    pub own: u64,
    /// From cgroups below it that were removed, and whose objects live on.
    pub inherited: u64,
    /// Bytes charged to them and used by no object.
    pub charged_bytes: u64,
}

impl Memcg {
    /// Bytes of one line of memory.stat; `None` if this kernel does not count it.
    pub fn stat(&self, name: &str) -> Option<u64> {
        self.stat.as_ref()?.get(name).copied()
    }

    /// Slab memory, reclaimable or not.
    pub fn slab(&self) -> Option<u64> {
        let (one, other) = (
            self.stat("slab_reclaimable")?,
            self.stat("slab_unreclaimable")?,
        );
        Some(one.saturating_add(other))
    }
}

/// All of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MemcgFacts {
    /// A cgroup before those below it, in the kernel's order.
    pub memcgs: Vec<Memcg>,
    /// Whether all could be read.
    pub complete: bool,
}

/// Reads all memory cgroups.
///
/// # Errors
/// If the kernel has none, or its types don't describe them.
pub fn collect(kernel: &Kernel) -> Result<MemcgFacts, KernelError> {
    let root = root(kernel)?;
    let layout: MemcgLayout = kernel.layout()?;
    let reader = MemcgReader {
        names: Names::new(kernel)?,
        stats: Stats::new(kernel, &layout)?,
        objcgs: ObjcgReader::new(kernel, &layout)?,
        below: Below::new(kernel, &layout, root)?,
        kernel,
        layout,
    };
    let mut tree = Tree::default();
    reader.walk(root, &mut tree);
    let complete = tree.warn(kernel);
    let mut memcgs = tree.with_stats(&reader.stats);
    let removed = memcgs.iter().filter(|memcg| memcg.dying);
    let mut held = held::held(kernel, &removed.map(|memcg| memcg.address).collect())?;
    for memcg in memcgs.iter_mut().filter(|memcg| memcg.dying) {
        memcg.held_by = Some(held.remove(&memcg.address).unwrap_or_default());
    }
    Ok(MemcgFacts { memcgs, complete })
}

fn root(kernel: &Kernel) -> Result<VirtAddr, KernelError> {
    let at = kernel.symbol("root_mem_cgroup").ok_or_else(|| {
        kernel.lacks(
            "root_mem_cgroup",
            "this kernel has no memory cgroups: it needs CONFIG_MEMCG",
        )
    })?;
    let root = kernel.space.read_ptr(at);
    let root = root.map_err(|fault| KernelError::Memory {
        what: "root_mem_cgroup",
        fault,
    })?;
    if root.is_null() {
        return Err(KernelError::Unsupported(
            "memory cgroups are built into this kernel, but were not set up (cgroup_disable=memory)".into(),
        ));
    }
    Ok(root)
}

struct MemcgReader<'k> {
    kernel: &'k Kernel,
    layout: MemcgLayout,
    names: Names<'k>,
    stats: Stats<'k>,
    objcgs: Option<ObjcgReader<'k>>,
    below: Below<'k>,
}

/// What the walk found, and what went wrong.
#[derive(Debug, Default)]
struct Tree {
    memcgs: Vec<Memcg>,
    counted: Vec<Option<Counted>>,
    unreadable: u64,
    broken_lists: u64,
    without_stats: u64,
    without_names: u64,
    without_objcgs: u64,
}

impl MemcgReader<'_> {
    fn walk(&self, root: VirtAddr, tree: &mut Tree) {
        let mut seen = FxHashSet::default();
        tree.broken_lists += u64::from(!self.below.complete);
        let mut stack = vec![(root, None::<usize>, 0)];
        while let Some((at, parent, depth)) = stack.pop() {
            if tree.memcgs.len() >= MAX_MEMCGS || !seen.insert(at) {
                tree.broken_lists += 1;
                continue;
            }
            let Ok(record) = self.kernel.space.read_bytes(at, self.layout.len) else {
                tree.unreadable += 1;
                continue;
            };
            let index = tree.memcgs.len();
            self.read(tree, at, &record, parent, depth);
            let (children, whole) = self.below.of(&self.layout, at, &record);
            tree.broken_lists += u64::from(!whole);
            for child in children.into_iter().rev() {
                stack.push((child, Some(index), depth + 1));
            }
        }
    }

    fn read(
        &self,
        tree: &mut Tree,
        at: VirtAddr,
        record: &[u8],
        parent: Option<usize>,
        depth: usize,
    ) {
        let layout = &self.layout;
        let page = self.kernel.dump().page_size() as u64;
        // A counter may be below 0 for a moment.
        let pages = |count: u64| {
            count
                .cast_signed()
                .max(0)
                .cast_unsigned()
                .saturating_mul(page)
        };
        let kmem = layout.kmem.map(|field| pages(field.get(record)));
        let kmem = kmem.filter(|bytes| *bytes > 0);
        let cgroup = VirtAddr(layout.cgroup.get(record));
        let dying = layout.css_flags.get(record) & ONLINE == 0;
        // Where cgroups are what is linked, a removed one is freed.
        let nameless = dying && layout.children.is_none();
        let named = match nameless {
            true => Named::default(),
            false => self.names.of(cgroup),
        };
        tree.without_names += u64::from(named.path.is_none() && !nameless);
        let counted = self.stats.read(record);
        tree.without_stats += u64::from(counted.is_none());
        tree.counted.push(counted);
        let objcgs = self.objcgs.as_ref().map(|all| match dying {
            // The one above has them now; what is left of the list is stale.
            true => Some(Objcgs::default()),
            false => all.read(layout, at, record),
        });
        tree.without_objcgs += u64::from(matches!(objcgs, Some(None)));
        let max = layout.max.get(record);
        tree.memcgs.push(Memcg {
            address: at,
            parent,
            depth,
            path: named.path,
            id: layout.id.get(record),
            cgroup_id: named.inode,
            cgroup,
            dying,
            dying_descendants: named.dying,
            current: pages(layout.usage.get(record)),
            // PAGE_COUNTER_MAX.
            max: Some(max)
                .filter(|max| *max < i64::MAX as u64 / page)
                .map(|max| max * page),
            swap: layout.swap.map(|field| pages(field.get(record))),
            // What cgroup v1 counts apart, for kernels whose statistics lack it.
            stat: kmem.map(|bytes| BTreeMap::from([("kernel", bytes)])),
            unflushed: None,
            objcgs: objcgs.flatten().map(ObjcgFacts::from),
            held_by: None,
        });
    }
}

impl From<Objcgs> for ObjcgFacts {
    fn from(found: Objcgs) -> Self {
        Self {
            own: found.own,
            inherited: found.inherited,
            charged_bytes: found.charged,
        }
    }
}

impl Tree {
    /// Says what is missing; whether nothing is.
    fn warn(&self, kernel: &Kernel) -> bool {
        const REMEDY: &str = "take the dump with kernel pages included";
        let losses = [
            (
                self.unreadable,
                "memcg-unreadable",
                "a memory cgroup can't be read: it is left out with those below it",
            ),
            (
                self.broken_lists,
                "memcg-list",
                "a list of memory cgroups is circular, broken or enters missing memory: those behind the break are left out",
            ),
            (
                self.without_stats,
                "memcg-stat",
                "the statistics of a memory cgroup can't be read as a whole: it is shown without them, and what it had not handed over is missing above it",
            ),
            (
                self.without_names,
                "memcg-name",
                "the name of a memory cgroup can't be read",
            ),
            (
                self.without_objcgs,
                "memcg-objcg",
                "the obj_cgroups of a memory cgroup can't be read",
            ),
        ];
        for (count, code, message) in losses {
            if count > 0 {
                kernel
                    .diag
                    .warn_many(code, format!("{message}; {REMEDY}"), count);
            }
        }
        losses.iter().all(|(count, ..)| *count == 0)
    }

    /// Hands what was not handed over to each cgroup above, and where each counts by itself, its
    /// own too.
    fn with_stats(mut self, stats: &Stats<'_>) -> Vec<Memcg> {
        let zeros = vec![0; stats.items.len()];
        let unflushed = self.counted.iter().map(|counted| match counted {
            Some(counted) => counted.unflushed.clone(),
            None => zeros.clone(),
        });
        let mut unflushed: Vec<Vec<i64>> = unflushed.collect();
        // Those below come later.
        for index in (1..self.memcgs.len()).rev() {
            let own = unflushed.get(index).cloned().unwrap_or_default();
            let Some(parent) = self.memcgs.get(index).and_then(|memcg| memcg.parent) else {
                continue;
            };
            if let Some(above) = unflushed.get_mut(parent) {
                stats::add(above, &own, 1);
            }
            let state = self.counted.get(index).and_then(Option::as_ref);
            let state = state.filter(|_| stats.own).map(|all| all.state.clone());
            let above = self.counted.get_mut(parent).and_then(Option::as_mut);
            if let (Some(state), Some(above)) = (state, above) {
                stats::add(&mut above.state, &state, 1);
            }
        }
        for ((memcg, counted), unflushed) in
            self.memcgs.iter_mut().zip(&self.counted).zip(&unflushed)
        {
            let kmem = memcg.stat.take();
            let Some(counted) = counted else {
                continue;
            };
            let names = stats.items.iter().map(|item| item.name);
            let sums = counted.state.iter().zip(unflushed);
            // The kernel shows no less than 0 either.
            let sums = sums.map(|(state, rest)| state.wrapping_add(*rest).max(0).cast_unsigned());
            let mut stat: BTreeMap<_, _> = names.clone().zip(sums).collect();
            for (name, bytes) in kmem.into_iter().flatten() {
                stat.entry(name).or_insert(bytes);
            }
            memcg.stat = Some(stat);
            let rest = names.zip(unflushed.iter().copied());
            memcg.unflushed = Some(rest.filter(|(_, rest)| *rest != 0).collect());
        }
        self.memcgs
    }
}
