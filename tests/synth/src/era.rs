//! Which kernels can be synthesised, and what is not in their C types.

use crate::ctypes::TypeTable;

/// A kernel whose structures have a shape of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// Slab state inside `struct page`.
    V5_10,
    /// `struct slab`, `folio._folio_order`, KFENCE metadata in an array.
    V6_1,
    /// The same release with classic SLAB and CONFIG_DEBUG_SLAB.
    V6_1Slab,
    /// `PGTY_slab`, `folio._flags_1`, `PG_workingset` on the partial list.
    V6_12,
    /// Sheaves instead of `kmem_cache_cpu`, `per_node`, `compound_info` as a mask.
    V7_2,
}

impl Era {
    /// Every era with SLUB, oldest first.
    pub const ALL: [Era; 4] = [Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

    /// `uname -r`.
    pub fn release(self) -> &'static str {
        match self {
            Era::V5_10 => "5.10.0-99-synth-amd64",
            Era::V6_1 => "6.1.0-99-synth-amd64",
            Era::V6_1Slab => "6.1.0-99-synth-slab-amd64",
            Era::V6_12 => "6.12.99+synth-amd64",
            Era::V7_2 => "7.2.99+synth-amd64",
        }
    }

    /// A short name for files: `6.1`.
    pub fn name(self) -> &'static str {
        match self {
            Era::V5_10 => "5.10",
            Era::V6_1 => "6.1",
            Era::V6_1Slab => "6.1-slab",
            Era::V6_12 => "6.12",
            Era::V7_2 => "7.2",
        }
    }

    /// The C types of this kernel.
    pub fn types(self) -> TypeTable {
        let mut table = TypeTable::default();
        table.parse(include_str!("../layouts/common.types"));
        match self {
            Era::V5_10 => table.parse(include_str!("../layouts/5.10.types")),
            Era::V6_1 => {
                table.parse(include_str!("../layouts/6.1.types"));
                table.parse(include_str!("../layouts/6.1-kfence.types"));
            }
            Era::V6_1Slab => {
                table = Era::V6_1.types();
                table.parse(include_str!("../layouts/6.1-slab.types"));
                table.aggregates.remove("kmem_cache_cpu");
                table.variables.retain(|(name, _)| name != "slab_kset");
            }
            Era::V6_12 => table.parse(include_str!("../layouts/6.12.types")),
            Era::V7_2 => table.parse(include_str!("../layouts/7.2.types")),
        }
        table
    }

    /// The types with those of conntrack, and what a kernel without it has of them:
    /// there conntrack is a module.
    pub fn types_with_conntrack(self) -> (TypeTable, TypeTable) {
        let (net, module) = match self {
            Era::V5_10 => (
                include_str!("../layouts/5.10-net.types"),
                include_str!("../layouts/5.10-conntrack.types"),
            ),
            Era::V6_1 | Era::V6_1Slab => (
                include_str!("../layouts/6.1-net.types"),
                include_str!("../layouts/6.1-conntrack.types"),
            ),
            Era::V6_12 => (
                include_str!("../layouts/6.12-net.types"),
                include_str!("../layouts/6.12-conntrack.types"),
            ),
            Era::V7_2 => (
                include_str!("../layouts/7.2-net.types"),
                include_str!("../layouts/7.2-conntrack.types"),
            ),
        };
        let mut kernel = self.types();
        kernel.parse(net);
        let mut all = kernel.clone();
        all.parse(module);
        (all, kernel)
    }

    /// Conntrack follows DCCP (to 6.17).
    pub fn has_dccp(self) -> bool {
        self < Era::V7_2
    }

    /// Conntrack follows UDP-Lite (to 7.0).
    pub fn has_udplite(self) -> bool {
        self < Era::V7_2
    }

    /// Unconfirmed entries are on a list of their CPU (to 5.18).
    pub fn has_unconfirmed_list(self) -> bool {
        self == Era::V5_10
    }

    /// Classic SLAB in place of SLUB.
    pub fn is_classic(self) -> bool {
        self == Era::V6_1Slab
    }

    /// KFENCE came with 5.12.
    pub fn has_kfence(self) -> bool {
        self != Era::V5_10
    }

    /// From 6.8 on a slab on a CPU's partial list is not frozen, and one on a
    /// node's partial list carries `PG_workingset`.
    pub fn marks_node_partial(self) -> bool {
        self >= Era::V6_12
    }

    /// Free objects wait in sheaves and not on CPU slabs (7.0; opt-in from 6.18).
    pub fn has_sheaves(self) -> bool {
        self >= Era::V7_2
    }

    /// Per-CPU symbols are ordinary addresses (6.15), before that they start at 0.
    pub fn relocates_percpu(self) -> bool {
        self >= Era::V7_2
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
        for era in Era::ALL {
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
