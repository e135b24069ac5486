//! The list of all slab caches (`slab_caches`, mm/slab_common.c).

use super::classic::{ClassicCache, ClassicCacheLayout};
use super::copies::Copies;
use super::era::SlabEra;
use super::flags::CacheFlags;
use super::layouts::{CacheLayout, PerNodeLayout};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::{Field, LayoutError};
use crate::kernel::{Kernel, KernelError, cpus, walk};
use crate::partial::{End, Partial};

/// More caches than any machine has; a broken list ends here at the latest.
const MAX_CACHES: u64 = 1 << 20;
/// Longer than any cache's name.
const MAX_NAME: usize = 256;

/// One `struct kmem_cache`.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Where it lies.
    pub address: VirtAddr,
    /// Its name as /proc/slabinfo has it.
    pub name: String,
    /// What the user of the cache asked for, in bytes.
    pub object_size: u32,
    /// The distance from object to object, in bytes.
    pub size: u32,
    /// Alignment of objects, in bytes.
    pub align: u32,
    /// `kmem_cache.flags`.
    pub flags: u64,
    /// How many cache names share it.
    pub refcount: u32,
    /// Objects in a slab of the preferred order.
    pub objects_per_slab: u32,
    /// Pages in a slab of the preferred order.
    pub pages_per_slab: u32,
    /// Where in a free object the pointer to the next one lies.
    pub(crate) free_pointer: u32,
    /// Bytes of an object up to where the allocator keeps its own behind it.
    pub(crate) inuse: u32,
    /// Bytes before the first object, for its left red zone.
    pub(crate) red_left_pad: u32,
    /// The cache's freelist secret, with CONFIG_SLAB_FREELIST_HARDENED.
    pub(crate) random: Option<u64>,
    /// The per-CPU pointer `cpu_slab`; null where there is none.
    pub(crate) cpu_slab: VirtAddr,
    /// The per-CPU pointer `cpu_sheaves`; null where there is none.
    pub(crate) cpu_sheaves: VirtAddr,
    /// The most objects that a sheaf of this cache holds.
    pub(crate) sheaf_capacity: u32,
    /// `kmem_cache_node` of each node that has one.
    pub(crate) nodes: Vec<VirtAddr>,
    /// `node_barn` of each node that has one, where `per_node[]` leads to them.
    pub(crate) barns: Vec<VirtAddr>,
    /// The cache that this one is the copy of for one memory cgroup (up to 5.8).
    pub(crate) root: Option<VirtAddr>,
    /// That cgroup's `struct mem_cgroup`.
    pub(crate) memcg: Option<VirtAddr>,
    /// Address of `kmem_cache.kobj`, with CONFIG_SYSFS.
    pub(crate) kobj: Option<VirtAddr>,
    /// What only classic SLAB has; there all that belongs to SLUB alone is 0.
    pub(crate) classic: Option<ClassicCache>,
}

impl Cache {
    /// Whether a flag of this mask is set; a mask of 0 is a flag that the kernel lacks.
    pub(crate) fn has(&self, mask: u64) -> bool {
        self.flags & mask != 0
    }
}

/// The array per NUMA node at the end of `struct kmem_cache`. It is declared for the most nodes
/// that a kernel can have, but allocated for those possible.
struct NodeArray {
    at: usize,
    entry: usize,
    node: usize,
    barn: Option<usize>,
    nodes: usize,
}

impl NodeArray {
    fn resolve(kernel: &Kernel, shape: &Shape) -> Result<Self, LayoutError> {
        let nodes = cpus::node_count(kernel);
        let pointers = |node: Field| Self {
            at: node.offset as usize,
            entry: 8,
            node: 0,
            barn: None,
            nodes,
        };
        let layout = match shape {
            Shape::Classic(layout) => return Ok(pointers(layout.node)),
            Shape::Slub(layout, _) => layout,
        };
        if let Some(per_node) = layout.per_node {
            let entry: PerNodeLayout = kernel.layout()?;
            return Ok(Self {
                at: per_node.offset as usize,
                entry: entry.struct_size,
                node: entry.node.offset as usize,
                barn: Some(entry.barn.offset as usize),
                nodes,
            });
        }
        layout.node.map(pointers).ok_or(LayoutError::NoMember {
            structure: "kmem_cache",
            member: "per_node or node",
        })
    }

    /// Where the array, and with it the structure, ends.
    fn end(&self) -> usize {
        self.at + self.nodes * self.entry
    }

    /// The pointers at `offset` of each entry that are not null.
    fn pointers(&self, record: &[u8], offset: Option<usize>) -> Vec<VirtAddr> {
        let Some(offset) = offset else {
            return Vec::new();
        };
        (0..self.nodes)
            .filter_map(|node| u64_at(record, self.at + node * self.entry + offset))
            .filter(|pointer| *pointer != 0)
            .map(VirtAddr)
            .collect()
    }
}

/// `struct kmem_cache` of this kernel's allocator.
enum Shape {
    Slub(Box<CacheLayout>, Option<Copies>),
    Classic(Box<ClassicCacheLayout>),
}

impl Shape {
    fn resolve(kernel: &Kernel, era: SlabEra) -> Result<Self, LayoutError> {
        Ok(match era {
            SlabEra::Slab => Shape::Classic(Box::new(kernel.layout()?)),
            _ => {
                let layout: CacheLayout = kernel.layout()?;
                let copies = Copies::find(kernel, &layout)?;
                Shape::Slub(Box::new(layout), copies)
            }
        })
    }

    /// Where `list` lies.
    fn list(&self) -> u64 {
        u64::from(match self {
            Shape::Slub(layout, _) => layout.list.offset,
            Shape::Classic(layout) => layout.list.offset,
        })
    }
}

/// All caches in the order of the list, which is that of /proc/slabinfo's rows.
///
/// # Errors
/// If the list's head is not in the dump. A broken list gives those up to the break, and a warning.
pub fn read_all(kernel: &Kernel, era: SlabEra) -> Result<Partial<Vec<Cache>>, KernelError> {
    let shape = Shape::resolve(kernel, era)?;
    let head = kernel.need_symbol("slab_caches")?;
    let list = walk::list(&kernel.space, head, MAX_CACHES);
    if !list.end.is_complete() {
        kernel.diag.warn(
            "slab-caches-list",
            format!(
                "the list of slab caches {} after {} caches: those behind it are not seen (look at it with crash: list -H {head})",
                list.end.describe(),
                list.seen
            ),
        );
        if list.value.is_empty() {
            kernel
                .space
                .read_u64(head)
                .map_err(|fault| KernelError::Memory {
                    what: "the list of slab caches",
                    fault,
                })?;
        }
    }
    let nodes = NodeArray::resolve(kernel, &shape)?;
    let mut caches = Vec::with_capacity(list.value.len());
    let mut end = list.end;
    for link in list.value {
        let address = link.minus(shape.list());
        match read_one(kernel, &shape, address, &nodes) {
            Ok(cache) => caches.push(cache),
            Err(fault) => {
                end = End::Fault;
                kernel.diag.warn(
                    "cache-lost",
                    format!("the slab cache at {address} can't be read: {fault}"),
                );
            }
        }
    }
    Ok(Partial::new(caches, end, list.seen))
}

fn read_one(
    kernel: &Kernel,
    shape: &Shape,
    address: VirtAddr,
    nodes: &NodeArray,
) -> Result<Cache, crate::space::MemFault> {
    let record = kernel.space.read_bytes(address, nodes.end())?;
    let mut cache = match shape {
        Shape::Slub(layout, copies) => {
            let mut cache = slub_cache(layout, address, &record);
            if let Some(copies) = copies
                && let Some(original) = copies.original(kernel, &record)?
            {
                cache.root = Some(original.root);
                cache.memcg = original.memcg;
            }
            cache
        }
        Shape::Classic(layout) => classic_cache(layout, address, &record),
    };
    let name_at = VirtAddr(match shape {
        Shape::Slub(layout, _) => layout.name.get(&record),
        Shape::Classic(layout) => layout.name.get(&record),
    });
    cache.name = kernel
        .space
        .read_c_string(name_at, MAX_NAME)
        .unwrap_or_else(|_| format!("<name at {name_at} is missing>"));
    cache.nodes = nodes.pointers(&record, Some(nodes.node));
    cache.barns = nodes.pointers(&record, nodes.barn);
    Ok(cache)
}

/// The cache out of its bytes, but for its name and nodes.
fn slub_cache(layout: &CacheLayout, address: VirtAddr, record: &[u8]) -> Cache {
    let word = |field: &Field| field.get(record);
    let narrow = |field: &Field| field.get(record) as u32;
    let oo = narrow(&layout.oo);
    Cache {
        address,
        object_size: narrow(&layout.object_size),
        size: narrow(&layout.size),
        align: narrow(&layout.align),
        flags: word(&layout.flags),
        refcount: narrow(&layout.refcount),
        objects_per_slab: oo & 0xffff,
        pages_per_slab: 1 << (oo >> 16).min(16),
        free_pointer: narrow(&layout.offset),
        inuse: narrow(&layout.inuse),
        red_left_pad: layout.red_left_pad.as_ref().map_or(0, narrow),
        random: layout.random.as_ref().map(word),
        cpu_slab: VirtAddr(layout.cpu_slab.as_ref().map_or(0, word)),
        cpu_sheaves: VirtAddr(layout.cpu_sheaves.as_ref().map_or(0, word)),
        sheaf_capacity: layout.sheaf_capacity.as_ref().map_or(0, narrow),
        kobj: layout
            .kobj
            .map(|field| address.plus(u64::from(field.offset))),
        ..Cache::default()
    }
}

/// As [`slub_cache`].
fn classic_cache(layout: &ClassicCacheLayout, address: VirtAddr, record: &[u8]) -> Cache {
    let narrow = |field: &Field| field.get(record) as u32;
    Cache {
        address,
        object_size: narrow(&layout.object_size),
        size: narrow(&layout.size),
        align: narrow(&layout.align),
        flags: layout.flags.get(record),
        refcount: narrow(&layout.refcount),
        objects_per_slab: narrow(&layout.num),
        pages_per_slab: 1 << narrow(&layout.gfporder).min(16),
        classic: Some(ClassicCache::of(layout, record)),
        ..Cache::default()
    }
}

/// The masks of the flags that change how a cache is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlagMasks {
    pub(crate) reclaimable: u64,
    pub(crate) typesafe_by_rcu: u64,
}

impl FlagMasks {
    pub(crate) fn of(flags: &CacheFlags) -> Self {
        Self {
            reclaimable: flags.mask("RECLAIM_ACCOUNT"),
            typesafe_by_rcu: flags.mask("TYPESAFE_BY_RCU"),
        }
    }
}
