//! Maps: what they are, and where their memory lies.

use serde::Serialize;

use super::Holder;
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::percpu_counter::PercpuCounter;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::vmalloc::VmallocFacts;

layout! {
    /// include/linux/bpf.h
    struct MapLayout = "bpf_map" in "kernel/bpf/syscall.c" {
        need kind = "map_type",
        need key = "key_size",
        need value = "value_size",
        need entries = "max_entries",
        need id = "id",
        need flags = "map_flags",
        /// 4.15 and later (commit ad5b177bd73f).
        maybe name = "name",
    }
}

layout! {
    /// kernel/bpf/hashtab.c
    struct HashLayout = "bpf_htab" in "kernel/bpf/hashtab.c" {
        need buckets = "buckets",
        need elements = "elems",
        need element_size = "elem_size",
        need count = "count",
        /// 5.20 and later (commit 86fe28f7692d): many at once are counted by each CPU.
        maybe sums = "pcount",
        maybe by_cpus = "use_percpu_counter",
    }
}

layout! {
    /// kernel/bpf/lpm_trie.c
    struct TrieLayout = "lpm_trie" in "kernel/bpf/lpm_trie.c" {
        need count = "n_entries",
    }
}

layout! {
    /// kernel/bpf/ringbuf.c
    struct RingMapLayout = "bpf_ringbuf_map" in "kernel/bpf/ringbuf.c" {
        need ring = "rb",
    }
}

layout! {
    /// kernel/bpf/ringbuf.c
    struct RingLayout = "bpf_ringbuf" in "kernel/bpf/ringbuf.c" {
        need pages = "pages",
        need count = "nr_pages",
    }
}

/// `enum bpf_map_type` (include/uapi/linux/bpf.h) by number: a part of the kernel's interface, so
/// that numbers never change.
const KINDS: [&str; 34] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
];

/// `BPF_F_NO_PREALLOC` (include/uapi/linux/bpf.h): elements are made one by one.
const ONE_BY_ONE: u64 = 1;

/// More pages than a ring can have.
const MAX_PAGES: u64 = 1 << 24;

/// One map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MapFacts {
    /// Its number.
    pub id: u32,
    /// As its maker called it.
    pub name: String,
    /// `hash`, `array`, as bpftool says; a number that is not known as `type 99`.
    pub kind: String,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// As many as it has room for.
    pub max_entries: u32,
    /// Elements that were made one by one, and are in it; `None` of maps that have all of them from
    /// the beginning, or where that can't be told.
    pub elements: Option<u64>,
    /// Bytes of these as they were asked for, in slab caches; `None` of tries.
    pub element_bytes: Option<u64>,
    /// Bytes of its areas of vmalloc and of its ring; small ones and elements that are made one by
    /// one are slab objects, and not counted here.
    pub area_bytes: u64,
    /// Bytes of values that each possible CPU has, by their number and size.
    pub percpu_bytes: u64,
    /// The process that has it open, or the first of several.
    pub open_by: Option<Holder>,
    /// Numbers of the programs that use it.
    pub programs: Vec<u32>,
    /// The `struct bpf_map`.
    pub address: VirtAddr,
    /// Addresses of its memory, beside its own.
    #[serde(skip)]
    pub(crate) places: Vec<VirtAddr>,
}

pub(super) struct Reader<'k> {
    kernel: &'k Kernel,
    areas: Option<&'k VmallocFacts>,
    map: MapLayout,
    hash: Option<HashLayout>,
    trie: Option<TrieLayout>,
    ring: Option<(RingMapLayout, RingLayout)>,
    sums: Option<PercpuCounter>,
    cpus: Cpus,
}

impl<'k> Reader<'k> {
    pub(super) fn new(
        kernel: &'k Kernel,
        areas: Option<&'k VmallocFacts>,
    ) -> Result<Self, KernelError> {
        let ring = kernel.layout().ok();
        Ok(Self {
            kernel,
            areas,
            map: kernel.layout()?,
            hash: kernel.layout().ok(),
            trie: kernel.layout().ok(),
            sums: kernel.layout().ok(),
            ring: ring.zip(kernel.layout().ok()),
            cpus: Cpus::read(kernel)?,
        })
    }

    pub(super) fn map(&self, at: VirtAddr) -> Option<MapFacts> {
        let space = &self.kernel.space;
        let record = space.read_bytes(at, self.map.struct_size).ok()?;
        let of = |field: &Field| field.get(&record);
        let number = of(&self.map.kind) as usize;
        let kind = KINDS.get(number).copied();
        let name = self.map.name.as_ref().and_then(|name| {
            let start = name.offset as usize;
            record.get(start..start + name.size as usize).map(c_string)
        });
        let (value, entries) = (of(&self.map.value), of(&self.map.entries));
        let mut facts = MapFacts {
            id: of(&self.map.id) as u32,
            name: name.unwrap_or_default(),
            kind: kind.map_or_else(|| format!("type {number}"), str::to_owned),
            key_size: of(&self.map.key) as u32,
            value_size: value as u32,
            max_entries: entries as u32,
            elements: None,
            element_bytes: None,
            area_bytes: 0,
            percpu_bytes: 0,
            open_by: None,
            programs: Vec::new(),
            address: at,
            places: Vec::new(),
        };
        match kind {
            Some("hash" | "percpu_hash" | "lru_hash" | "lru_percpu_hash" | "hash_of_maps") => {
                let hash = self.hash.as_ref()?;
                for field in [&hash.buckets, &hash.elements] {
                    let place = space.read_ptr(at.plus(u64::from(field.offset))).ok()?;
                    facts.places.push(place);
                }
                if of(&self.map.flags) & ONE_BY_ONE != 0 {
                    self.count_elements(at, hash, &mut facts);
                }
            }
            Some("lpm_trie") => {
                let count = self.trie.as_ref()?.count.offset;
                let count = space.read_u64(at.plus(u64::from(count))).ok()?;
                facts.elements = Some(count);
            }
            Some("ringbuf" | "user_ringbuf") => facts.places = self.ring_pages(at)?,
            _ => {}
        }
        if facts.kind.contains("percpu") {
            let value = value.next_multiple_of(8);
            facts.percpu_bytes = value
                .saturating_mul(entries)
                .saturating_mul(self.cpus.len() as u64);
        }
        facts.area_bytes = match &*facts.kind {
            "ringbuf" | "user_ringbuf" => {
                (facts.places.len() as u64) << self.kernel.dump().page_shift()
            }
            _ => self.area_bytes(&facts),
        };
        Some(facts)
    }

    /// Those of a hash (kernel/bpf/hashtab.c: inc_elem_count()).
    fn count_elements(&self, at: VirtAddr, hash: &HashLayout, facts: &mut MapFacts) {
        let space = &self.kernel.space;
        let place = |field: Field| at.plus(u64::from(field.offset));
        let read = |field: Field| space.read_u32(place(field)).ok();
        let by_cpus = match hash.by_cpus {
            Some(field) => space
                .read_bytes(place(field), 1)
                .ok()
                .map(|flag| flag != [0]),
            None => Some(false),
        };
        let count = match (by_cpus, &self.sums, hash.sums) {
            (Some(true), Some(sums), Some(field)) => {
                sums.sum(self.kernel, &self.cpus, place(field)).ok()
            }
            (Some(false), _, _) => read(hash.count).map(i64::from),
            _ => None,
        };
        facts.elements = count.and_then(|count| u64::try_from(count).ok());
        let size = read(hash.element_size).map(u64::from);
        let elements = facts.elements.zip(size);
        facts.element_bytes = elements.map(|(count, size)| count.saturating_mul(size));
    }

    /// Of those of its places that are areas.
    fn area_bytes(&self, facts: &MapFacts) -> u64 {
        let shift = self.kernel.dump().page_shift();
        let areas = self.areas.iter().flat_map(|areas| &areas.areas);
        let places = || facts.places.iter().chain([&facts.address]);
        let of =
            areas.filter(|area| places().any(|place| area.start <= *place && *place < area.end));
        of.map(|area| area.pages << shift).sum()
    }

    /// The structures of a ring's pages.
    fn ring_pages(&self, at: VirtAddr) -> Option<Vec<VirtAddr>> {
        let (map, ring) = self.ring.as_ref()?;
        let space = &self.kernel.space;
        let at = space.read_ptr(at.plus(u64::from(map.ring.offset))).ok()?;
        let record = space.read_bytes(at, ring.len).ok()?;
        let count = ring.count.get(&record).min(MAX_PAGES) as usize;
        let array = VirtAddr(ring.pages.get(&record));
        let words = space.read_bytes(array, count * 8).ok()?;
        let pages = (0..count).filter_map(|index| u64_at(&words, index * 8));
        Some(pages.map(VirtAddr).collect())
    }
}
