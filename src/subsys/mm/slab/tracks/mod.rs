//! Who allocated an object, as slub_debug=U records it behind each one.
//!
//! Layer: subsystem. Input: a [`SlabHeap`] and addresses of objects. Output: a [`Sites`]
//! table: objects by the place that allocated or freed them, counted as the kernel does for
//! /sys/kernel/debug/slab/CACHE/alloc_traces. Invariant: a track that the dump lacks is
//! counted as lost, never as one that says nothing.

mod facts;
mod machine;
mod sites;

use rustc_hash::FxHashMap;

use super::SlabHeap;
use super::cache::Cache;
use super::objects::{self, ObjectState};
use crate::addr::VirtAddr;
use crate::bytes::{u32_at, u64_at};
use crate::kernel::layout::layout;
use crate::kernel::stack_depot::StackDepot;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;
pub use facts::{Ages, Site, SiteFacts};
use machine::Machine;
pub use sites::Sites;

layout! {
    /// mm/slub.c
    pub(crate) struct TrackLayout = "track" in "mm/slub.c" {
        need addr = "addr",
        /// 5.19 and later, with CONFIG_STACKDEPOT (commit 5cf909c553e9).
        maybe handle = "handle",
        /// Before, with CONFIG_STACKTRACE; ends with a zero.
        maybe addrs = "addrs",
        need cpu = "cpu",
        need pid = "pid",
        need when = "when",
    }
}

/// Most frames of a track that holds them itself (TRACK_ADDRS_COUNT).
const MAX_OWN_FRAMES: usize = 64;

/// Of what each object has a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackOf {
    /// Of when it was last allocated.
    Alloc,
    /// Of when it was last freed.
    Free,
}

/// A track's stack trace, in a form that can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Stack {
    handle: u32,
    frames: Vec<u64>,
}

/// One track as it stands in memory.
#[derive(Clone, Debug)]
struct Track {
    addr: u64,
    stack: Stack,
    cpu: u32,
    pid: i32,
    when: u64,
    /// Bytes of the object that its user did not ask for.
    waste: u32,
    at: VirtAddr,
}

/// Reads tracks.
#[derive(Debug)]
pub struct Tracks<'k> {
    kernel: &'k Kernel,
    layout: TrackLayout,
    machine: Machine,
    store_user: u64,
    kmalloc: u64,
}

impl<'k> Tracks<'k> {
    /// Finds out how this kernel keeps tracks; `None` if none of its caches has any.
    ///
    /// # Errors
    /// If caches have them, and the types do not say what they look like, or the clock is lost.
    pub fn open(heap: &SlabHeap<'k>) -> Result<Option<Self>, KernelError> {
        let store_user = heap.flags.mask("STORE_USER");
        let any = |cache: &Cache| cache.has(store_user) && cache.classic.is_none();
        if !heap.caches.iter().any(any) {
            return Ok(None);
        }
        let kernel = heap.kernel;
        let clock = Clock::read(kernel)?.ok_or(KernelError::NoSymbol("jiffies_64"))?;
        Ok(Some(Self {
            layout: kernel.layout()?,
            machine: Machine::read(kernel, clock)?,
            kernel,
            store_user,
            kmalloc: heap.flags.mask("KMALLOC"),
        }))
    }

    /// Whether objects of a cache have tracks.
    pub fn has(&self, cache: &Cache) -> bool {
        cache.has(self.store_user) && cache.classic.is_none()
    }

    /// The places that allocated or freed `objects` of `cache`.
    pub fn sites(
        &self,
        cache: &Cache,
        objects: impl IntoIterator<Item = VirtAddr>,
        of: TrackOf,
    ) -> Sites {
        let mut sites = Sites::new(self.machine.clock.jiffies, self.layout.handle.is_some());
        for object in objects {
            match self.read(cache, object, of) {
                Ok(track) => sites.add(&track, self.machine.node_of(self.kernel, track.at)),
                Err(_) => sites.lost += 1,
            }
        }
        sites
    }

    /// The places in words, the one with most objects first; at most `limit` of them.
    ///
    /// # Errors
    /// If the kernel has a stack depot of an unknown shape.
    pub fn describe(
        &self,
        sites: Sites,
        limit: usize,
        name: &dyn Fn(VirtAddr) -> Option<crate::kernel::symbolize::Symbolized>,
    ) -> Result<SiteFacts, KernelError> {
        let depot = match self.layout.handle {
            Some(_) => StackDepot::open(self.kernel)?,
            None => None,
        };
        Ok(facts::describe(
            sites,
            limit,
            &self.machine,
            depot.as_ref(),
            name,
        ))
    }

    fn read(
        &self,
        cache: &Cache,
        object: VirtAddr,
        of: TrackOf,
    ) -> Result<Track, crate::space::MemFault> {
        let size = self.layout.struct_size as u64;
        let tracks = object.plus(info_end(cache));
        let at = match of {
            TrackOf::Alloc => tracks,
            TrackOf::Free => tracks.plus(size),
        };
        let record = self.kernel.space.span(at, size as usize)?;
        let frames = self.layout.addrs.map(|field| {
            let count = (field.size as usize / 8).min(MAX_OWN_FRAMES);
            let frames = (0..count).filter_map(|n| u64_at(&record, field.offset as usize + n * 8));
            frames.take_while(|frame| *frame != 0).collect()
        });
        // A kmalloc cache of 6.1 and later has the size asked for behind both tracks (commit
        // 6edf2576a6cc); its flag is not used before.
        let asked = match of == TrackOf::Alloc && cache.has(self.kmalloc) {
            true => {
                let word = self.kernel.space.span(tracks.plus(2 * size), 4)?;
                u32_at(&word, 0).unwrap_or(0)
            }
            false => cache.object_size,
        };
        Ok(Track {
            addr: self.layout.addr.get(&record),
            stack: Stack {
                handle: (self.layout.handle).map_or(0, |field| field.get(&record) as u32),
                frames: frames.unwrap_or_default(),
            },
            cpu: self.layout.cpu.get(&record) as u32,
            pid: (self.layout.pid.get(&record) as u32).cast_signed(),
            when: self.layout.when.get(&record),
            waste: cache.object_size.wrapping_sub(asked),
            at,
        })
    }
}

/// Bytes from an object's start to its tracks (mm/slub.c, `get_info_end`; before 5.7 a pointer to
/// the next free object behind the object lies at the same place).
fn info_end(cache: &Cache) -> u64 {
    match cache.free_pointer >= cache.inuse {
        true => u64::from(cache.inuse) + 8,
        false => u64::from(cache.inuse),
    }
}

/// The places that allocated or freed the objects of the cache at `cache` (an index into the
/// heap's caches) that are in use, and whether all of them were seen. Objects that wait for RCU
/// count: the kernel takes them for allocated.
pub fn of_cache(
    heap: &SlabHeap<'_>,
    tracks: &Tracks<'_>,
    cache: usize,
    of: TrackOf,
) -> Option<(Sites, bool)> {
    let facts = heap.caches.get(cache).filter(|facts| tracks.has(facts))?;
    let mut in_use = Vec::new();
    let mut whole = objects::each(heap, cache, |object| match object.state {
        ObjectState::Allocated | ObjectState::PendingFree => in_use.push(object.address),
        ObjectState::Free | ObjectState::Unknown => {}
    });
    let sites = tracks.sites(facts, in_use, of);
    whole &= sites.lost == 0;
    Some((sites, whole))
}

/// Sites under their keys.
type Table = FxHashMap<(u64, Stack, u32), sites::Counts>;
