//! Arrays of free objects that CPUs and nodes of classic SLAB keep (`struct array_cache`):
//! one a CPU, one shared by a node's CPUs, and one in each node for every other node whose
//! objects were freed there (`alien`). Their slabs count these objects as in use.

use super::super::cache::Cache;
use super::super::sheaves::SheafFacts;
use super::ClassicCache;
use super::layouts::{AlienCacheLayout, ArrayCacheLayout, ClassicNodeLayout};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::cpus::{self, Cpus};
use crate::kernel::{Kernel, KernelError};

/// More objects than any array holds: 120 by default (mm/slab.c: enable_cpucache), and what
/// an administrator writes to /proc/slabinfo.
const MAX_LIMIT: u64 = 1 << 16;

/// What arrays for other nodes hold at most (mm/slab.c: alloc_alien_cache).
const ALIEN_LIMIT: u64 = 12;

/// Notes something broken that could hold so many arrays.
fn lose(classic: &ClassicCache, arrays: u64, facts: &mut SheafFacts) {
    let tunables = &classic.tunables;
    let shared = u64::from(tunables.batchcount).saturating_mul(u64::from(tunables.sharedfactor));
    let most = u64::from(tunables.limit).max(shared).max(ALIEN_LIMIT);
    facts.broken += 1;
    facts.hidden = (facts.hidden).saturating_add(arrays.saturating_mul(most.min(MAX_LIMIT)));
}

/// Reads the arrays of caches.
#[derive(Debug)]
pub(in super::super) struct ArrayReader<'k> {
    kernel: &'k Kernel,
    cpus: Cpus,
    nodes: usize,
    node: ClassicNodeLayout,
    array: ArrayCacheLayout,
    alien: AlienCacheLayout,
}

impl<'k> ArrayReader<'k> {
    pub(in super::super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            cpus: Cpus::read(kernel)?,
            nodes: cpus::node_count(kernel),
            node: kernel.layout()?,
            array: kernel.layout()?,
            alien: kernel.layout()?,
            kernel,
        })
    }

    /// Gathers the arrays of `cache`. One that is lost takes nothing else with it.
    pub(in super::super) fn read(&self, cache: &Cache, classic: &ClassicCache) -> SheafFacts {
        let mut facts = SheafFacts::default();
        for (_, at) in self.cpus.instances(classic.cpu_cache) {
            // These lie in per-CPU memory; all entries that are not in use are stale.
            let entries = at.plus(u64::from(self.array.entry.offset));
            let room = u64::from(classic.tunables.limit).min(MAX_LIMIT) * 8;
            facts.slots.push((entries, room));
            self.add(classic, at, &mut facts);
        }
        for node in &cache.nodes {
            if self.add_node(classic, *node, &mut facts).is_none() {
                lose(classic, self.nodes as u64, &mut facts);
            }
        }
        facts
    }

    fn add_node(
        &self,
        classic: &ClassicCache,
        node: VirtAddr,
        facts: &mut SheafFacts,
    ) -> Option<()> {
        let record = self.kernel.space.read_bytes(node, self.node.len).ok()?;
        let shared = VirtAddr(self.node.shared.get(&record));
        if !shared.is_null() {
            facts.sheaves.push((shared, self.array.entry.offset));
            // Should it lie in no slab, as those of the early boot may.
            let most = u64::from(classic.tunables.batchcount)
                .saturating_mul(u64::from(classic.tunables.sharedfactor));
            let entries = shared.plus(u64::from(self.array.entry.offset));
            facts.slots.push((entries, most.min(MAX_LIMIT) * 8));
            self.add(classic, shared, facts);
        }
        let aliens = VirtAddr(self.node.alien.get(&record));
        if aliens.is_null() {
            return Some(());
        }
        let pointers = self.kernel.space.read_bytes(aliens, self.nodes * 8).ok()?;
        for pointer in (0..self.nodes).filter_map(|node| u64_at(&pointers, node * 8)) {
            // The node itself has none, nor has one without memory.
            if pointer != 0 {
                let within = self.alien.array.offset;
                let header = within + self.array.entry.offset;
                facts.sheaves.push((VirtAddr(pointer), header));
                let entries = VirtAddr(pointer).plus(u64::from(header));
                facts.slots.push((entries, ALIEN_LIMIT * 8));
                let array = VirtAddr(pointer).plus(u64::from(within));
                self.add(classic, array, facts);
            }
        }
        Some(())
    }

    fn add(&self, classic: &ClassicCache, array: VirtAddr, facts: &mut SheafFacts) {
        match self.objects(array) {
            Some(objects) => {
                let seen = |object: VirtAddr| object.plus(u64::from(classic.obj_offset));
                facts.free.extend(objects.into_iter().map(seen));
            }
            None => lose(classic, 1, facts),
        }
    }

    /// The pointers in an array; `None` if it is lost, or makes no sense.
    fn objects(&self, array: VirtAddr) -> Option<Vec<VirtAddr>> {
        let record = self.kernel.space.read_bytes(array, self.array.len).ok()?;
        let avail = self.array.avail.get(&record);
        let limit = self.array.limit.get(&record);
        if avail > limit || limit > MAX_LIMIT {
            return None;
        }
        let entries = array.plus(u64::from(self.array.entry.offset));
        let bytes = self.kernel.space.read_bytes(entries, avail as usize * 8);
        let bytes = bytes.ok()?;
        let pointers = (0..avail as usize).filter_map(|slot| u64_at(&bytes, slot * 8));
        Some(pointers.map(VirtAddr).collect())
    }
}
