//! Which kernels can be synthesised, and what is not in their C types.

mod old;

use crate::ctypes::TypeTable;
use crate::machine::arm64::Arm64;
use crate::memory::PAGE_SHIFT;
use crate::slub::scenario::Place;

/// A kernel whose structures have a shape of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Vanilla 3.10: RHEL 7.9's shape without memory randomisation, by its address of
    /// `phys_base` alone.
    V3_10,
    /// RHEL 7.9: tails with a flag, orders in `page[1].lru`, copies of caches behind a pointer.
    V3_10El7,
    /// A child cache for each memory cgroup, slab state inside `struct page`.
    V4_18,
    /// Slab state inside `struct page`.
    V5_10,
    /// `struct slab`, `folio._folio_order`, KFENCE metadata in an array.
    V6_1,
    /// The same release with classic SLAB and CONFIG_DEBUG_SLAB.
    V6_1Slab,
    /// `PGTY_slab`, `folio._flags_1`, `PG_workingset` on the partial list.
    V6_12,
    /// 6.12 with CONFIG_SLUB_TINY: neither CPU slabs nor counters nor sysfs.
    V6_12Tiny,
    /// Sheaves for the caches that ask for them, beside `kmem_cache_cpu`.
    V6_18,
    /// Sheaves instead of `kmem_cache_cpu`, barns in `kmem_cache_node`.
    V7_0,
    /// `per_node`, `compound_info` as a mask.
    V7_2,
    /// Lists of what is put off for RCU beside those of other deferred frees.
    V7_3,
}

impl Era {
    /// Those whose types were all read from a kernel, oldest first.
    pub const ALL: [Era; 4] = [Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

    /// Every shape of the slab allocator. What the others have of their own was taken from
    /// the kernel's sources; the rest is as in the next one that was read.
    pub const ALLOCATORS: [Era; 12] = [
        Era::V3_10,
        Era::V3_10El7,
        Era::V4_18,
        Era::V5_10,
        Era::V6_1,
        Era::V6_1Slab,
        Era::V6_12,
        Era::V6_12Tiny,
        Era::V6_18,
        Era::V7_0,
        Era::V7_2,
        Era::V7_3,
    ];

    /// `uname -r`.
    pub fn release(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10.99-synth",
            Era::V3_10El7 => "3.10.0-1999.el7.synth.x86_64",
            Era::V4_18 => "4.18.0-99.el8.synth.x86_64",
            Era::V6_12Tiny => "6.12.99+synth-tiny-amd64",
            Era::V6_18 => "6.18.99+synth-amd64",
            Era::V7_0 => "7.0.99+synth-amd64",
            Era::V5_10 => "5.10.0-99-synth-amd64",
            Era::V6_1 => "6.1.0-99-synth-amd64",
            Era::V6_1Slab => "6.1.0-99-synth-slab-amd64",
            Era::V6_12 => "6.12.99+synth-amd64",
            Era::V7_2 => "7.2.99+synth-amd64",
            Era::V7_3 => "7.3.99+synth-amd64",
        }
    }

    /// A short name for files: `6.1`.
    pub fn name(self) -> &'static str {
        match self {
            Era::V3_10 => "3.10",
            Era::V3_10El7 => "3.10-el7",
            Era::V4_18 => "4.18",
            Era::V6_12Tiny => "6.12-tiny",
            Era::V6_18 => "6.18",
            Era::V7_0 => "7.0",
            Era::V5_10 => "5.10",
            Era::V6_1 => "6.1",
            Era::V6_1Slab => "6.1-slab",
            Era::V6_12 => "6.12",
            Era::V7_2 => "7.2",
            Era::V7_3 => "7.3",
        }
    }

    /// The C types of this kernel.
    pub fn types(self) -> TypeTable {
        let mut table = TypeTable::default();
        for text in self.tables() {
            table.parse(text);
        }
        if matches!(self, Era::V6_12Tiny | Era::V6_1Slab) {
            table.aggregates.remove("kmem_cache_cpu");
            table.variables.retain(|variable| variable.0 != "slab_kset");
        }
        if self == Era::V7_3 {
            table.aggregates.remove("defer_free");
        }
        if self == Era::V4_18 {
            let gone = "free_vmap_area_root";
            table.variables.retain(|variable| variable.0 != gone);
        }
        if self.is_3_10() {
            old::take_away(self, &mut table);
        }
        table
    }

    /// Its tables in order: a later one says what is different.
    fn tables(self) -> Vec<&'static str> {
        const COMMON: &str = include_str!("../layouts/common.types");
        const V5_10: &str = include_str!("../layouts/5.10.types");
        const V6_12: &str = include_str!("../layouts/6.12.types");
        const V7_2: &str = include_str!("../layouts/7.2.types");
        const BATCHES: &str = include_str!("../layouts/kfree-rcu-5.9.types");
        const LISTS: &str = include_str!("../layouts/kfree-rcu-6.4.types");
        const CALLBACKS: &str = include_str!("../layouts/rcu-data.types");
        const V3_10: &str = include_str!("../layouts/3.10.types");
        const OLD_CALLBACKS: &str = include_str!("../layouts/3.10-callbacks.types");
        let own = match self {
            Era::V3_10 | Era::V3_10El7 => vec![V5_10, V3_10, OLD_CALLBACKS],
            Era::V4_18 => vec![V5_10, include_str!("../layouts/4.18.types"), CALLBACKS],
            Era::V5_10 => vec![V5_10, BATCHES],
            Era::V6_1 => vec![
                include_str!("../layouts/6.1.types"),
                include_str!("../layouts/6.1-kfence.types"),
                BATCHES,
            ],
            Era::V6_1Slab => vec![
                include_str!("../layouts/6.1.types"),
                include_str!("../layouts/6.1-kfence.types"),
                BATCHES,
                include_str!("../layouts/6.1-slab.types"),
            ],
            Era::V6_12 => vec![V6_12, LISTS],
            Era::V6_12Tiny => vec![V6_12, include_str!("../layouts/6.12-tiny.types"), LISTS],
            Era::V6_18 => {
                let own = include_str!("../layouts/6.18.types");
                vec![V6_12, own, LISTS, CALLBACKS]
            }
            Era::V7_0 => vec![V7_2, include_str!("../layouts/7.0.types"), LISTS, CALLBACKS],
            Era::V7_2 => vec![V7_2, LISTS, CALLBACKS],
            Era::V7_3 => vec![V7_2, include_str!("../layouts/7.3.types"), LISTS, CALLBACKS],
        };
        let memory = match self {
            Era::V3_10 | Era::V3_10El7 => vec![
                include_str!("../layouts/5.10-memory.types"),
                include_str!("../layouts/3.10-memory.types"),
            ],
            Era::V4_18 => vec![
                include_str!("../layouts/5.10-memory.types"),
                include_str!("../layouts/4.18-memory.types"),
            ],
            Era::V5_10 => vec![include_str!("../layouts/5.10-memory.types")],
            Era::V6_1 | Era::V6_1Slab => vec![include_str!("../layouts/6.1-memory.types")],
            Era::V6_12 | Era::V6_12Tiny | Era::V6_18 => {
                vec![include_str!("../layouts/6.12-memory.types")]
            }
            Era::V7_0 | Era::V7_2 | Era::V7_3 => vec![include_str!("../layouts/7.2-memory.types")],
        };
        [vec![COMMON], own, memory].concat()
    }

    /// The types with those of conntrack, and what a kernel without it has of them:
    /// there conntrack is a module.
    pub fn types_with_conntrack(self) -> (TypeTable, TypeTable) {
        let (net, module) = match self {
            Era::V3_10 | Era::V3_10El7 | Era::V4_18 | Era::V5_10 => (
                include_str!("../layouts/5.10-net.types"),
                include_str!("../layouts/5.10-conntrack.types"),
            ),
            Era::V6_1 | Era::V6_1Slab => (
                include_str!("../layouts/6.1-net.types"),
                include_str!("../layouts/6.1-conntrack.types"),
            ),
            Era::V6_12 | Era::V6_12Tiny | Era::V6_18 => (
                include_str!("../layouts/6.12-net.types"),
                include_str!("../layouts/6.12-conntrack.types"),
            ),
            Era::V7_0 | Era::V7_2 | Era::V7_3 => (
                include_str!("../layouts/7.2-net.types"),
                include_str!("../layouts/7.2-conntrack.types"),
            ),
        };
        let mut kernel = self.types();
        kernel.parse(net);
        if self.is_3_10() {
            kernel.parse(include_str!("../layouts/3.10-modules.types"));
            kernel.parse(include_str!("../layouts/3.10-net.types"));
            kernel.variables.retain(|(name, _)| name != "btf_modules");
        }
        let mut all = kernel.clone();
        all.parse(module);
        if self.is_3_10() {
            all.parse(include_str!("../layouts/3.10-conntrack.types"));
            old::take_conntrack_away(&mut all);
        }
        (all, kernel)
    }

    /// The types with those of modules, but without connection tracking, and with what only a
    /// search for unreachable objects looks at.
    pub fn types_for_leaks(self) -> TypeTable {
        let mut table = self.types_with_conntrack().1;
        table.parse(match self {
            Era::V3_10 | Era::V3_10El7 | Era::V4_18 | Era::V5_10 | Era::V6_1 | Era::V6_1Slab => {
                include_str!("../layouts/stale-5.10.types")
            }
            Era::V6_12 | Era::V6_12Tiny | Era::V6_18 => {
                include_str!("../layouts/stale-6.12.types")
            }
            Era::V7_0 | Era::V7_2 | Era::V7_3 => include_str!("../layouts/stale-7.2.types"),
        });
        table
    }

    /// Conntrack follows DCCP (to 6.17).
    pub fn has_dccp(self) -> bool {
        self < Era::V6_18
    }

    /// Conntrack follows UDP-Lite (to 7.0).
    pub fn has_udplite(self) -> bool {
        self < Era::V7_2
    }

    /// Unconfirmed entries are on a list of their CPU (to 5.18).
    pub fn has_unconfirmed_list(self) -> bool {
        self <= Era::V5_10
    }

    /// Classic SLAB in place of SLUB.
    pub fn is_classic(self) -> bool {
        self == Era::V6_1Slab
    }

    /// KFENCE came with 5.12.
    pub fn has_kfence(self) -> bool {
        self > Era::V5_10
    }

    /// From 6.8 on a slab on a CPU's partial list is not frozen, and one on a
    /// node's partial list carries `PG_workingset`.
    pub fn marks_node_partial(self) -> bool {
        self >= Era::V6_12
    }

    /// The slab's words are those of `struct page` (to 5.16).
    pub fn slab_in_page(self) -> bool {
        self <= Era::V5_10
    }

    /// Each memory cgroup has caches of its own (to 5.8).
    pub fn has_memcg_children(self) -> bool {
        self <= Era::V4_18
    }

    /// The shape of 3.10: what later kernels have anew is not there.
    pub fn is_3_10(self) -> bool {
        self <= Era::V3_10El7
    }

    /// Tables of five levels, at run time (4.17).
    pub fn has_five_levels(self) -> bool {
        !self.is_3_10()
    }

    /// CPUs take slabs for themselves (to 6.19).
    pub fn has_cpu_slabs(self) -> bool {
        self <= Era::V6_18 && self != Era::V6_12Tiny
    }

    /// There are sheaves (6.18).
    pub fn has_sheaves(self) -> bool {
        self >= Era::V6_18
    }

    /// Free objects of this cache wait in sheaves and not on CPU slabs: those of every cache
    /// from 7.0 on, before that where the cache asks for it.
    pub fn has_sheaves_of(self, cache: &str) -> bool {
        self >= Era::V7_0 || self == Era::V6_18 && cache == "vm_area_struct"
    }

    /// Per-CPU symbols are ordinary addresses (6.15), before that they start at 0.
    pub fn relocates_percpu(self) -> bool {
        self >= Era::V6_18
    }

    /// Where a slab is, that would be on a CPU where there are such: without, its free objects
    /// are all its own.
    pub(crate) fn place(self, place: Place) -> Place {
        if self.has_cpu_slabs() || self.has_sheaves() {
            return place;
        }
        let free = match place {
            Place::Current {
                cpu_free,
                remote_free,
                ..
            } => cpu_free + remote_free,
            Place::CpuPartial { free, .. } => free,
            other => return other,
        };
        match free {
            0 => Place::Full,
            _ => Place::NodePartial { free },
        }
    }

    /// Slabs are a page type instead of a page flag (6.10).
    pub fn slab_is_page_type(self) -> bool {
        self >= Era::V6_12
    }
}

/// Page-table levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagingLevels {
    /// 48-bit virtual addresses.
    Four,
    /// 57-bit virtual addresses (LA57).
    Five,
    /// Those of an aarch64 machine.
    Arm64(Arm64),
}

impl PagingLevels {
    /// The aarch64 machine, if it is one.
    pub fn arm64(self) -> Option<Arm64> {
        match self {
            Self::Arm64(arm64) => Some(arm64),
            _ => None,
        }
    }

    /// log2 of the bytes of a page.
    pub fn page_shift(self) -> u32 {
        self.arm64().map_or(PAGE_SHIFT, |arm64| arm64.page_shift)
    }

    /// `uname -m`.
    pub fn machine(self) -> &'static str {
        match self {
            Self::Arm64(_) => "aarch64",
            _ => "x86_64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_know_what_moved() {
        let old = Era::V5_10.types();
        let mid = Era::V6_1.types();
        let new = Era::V6_12.types();
        assert_eq!(old.offset("page", "slab_cache"), 24);
        assert_eq!(mid.offset("slab", "slab_cache"), 24);
        assert_eq!(new.offset("slab", "slab_cache"), 8);
        assert_eq!(mid.offset("folio", "_folio_order"), 81);
        assert_eq!(new.offset("folio", "_flags_1"), 64);
        for table in [&old, &mid, &new] {
            assert_eq!(table.sizeof("page"), 64);
            assert_eq!(table.offset("kmem_cache", "kobj.name"), 120);
        }
        let frozen = mid.field("slab", "frozen");
        assert_eq!((frozen.bit_offset, frozen.bits), (40 * 8 + 31, 1));
    }

    #[test]
    fn every_type_has_a_size() {
        for era in Era::ALLOCATORS {
            let table = era.types_with_conntrack().0;
            for aggregate in table.aggregates.values() {
                for member in &aggregate.members {
                    table.size_of(&member.ctype);
                }
            }
            for (_, ctype) in &table.variables {
                table.size_of(ctype);
            }
        }
    }
}
