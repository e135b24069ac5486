//! `SLAB_*` flags, whose bits are macros up to 6.8 and an enum after that.

use crate::ctypes::TypeTable;

/// Cache flags that the scenarios use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlabFlag {
    /// `SLAB_CONSISTENCY_CHECKS`
    ConsistencyChecks,
    /// `SLAB_RED_ZONE`
    RedZone,
    /// `SLAB_POISON`
    Poison,
    /// `SLAB_KMALLOC` (5.18)
    Kmalloc,
    /// `SLAB_HWCACHE_ALIGN`
    HwcacheAlign,
    /// `SLAB_CACHE_DMA`
    CacheDma,
    /// `SLAB_STORE_USER`
    StoreUser,
    /// `SLAB_RECLAIM_ACCOUNT`
    ReclaimAccount,
    /// `SLAB_PANIC`
    Panic,
    /// `SLAB_TYPESAFE_BY_RCU`
    TypesafeByRcu,
    /// `SLAB_ACCOUNT`
    Account,
    /// `__OBJECT_POISON`
    ObjectPoison,
    /// `__CMPXCHG_DOUBLE`
    CmpxchgDouble,
}

/// Flag, name, bit as a macro up to 6.8, enumerator from 6.9 on.
const TABLE: &[(SlabFlag, &str, u64, &str)] = &[
    (
        SlabFlag::ConsistencyChecks,
        "SLAB_CONSISTENCY_CHECKS",
        0x100,
        "_SLAB_CONSISTENCY_CHECKS",
    ),
    (SlabFlag::RedZone, "SLAB_RED_ZONE", 0x400, "_SLAB_RED_ZONE"),
    (SlabFlag::Poison, "SLAB_POISON", 0x800, "_SLAB_POISON"),
    (SlabFlag::Kmalloc, "SLAB_KMALLOC", 0x1000, "_SLAB_KMALLOC"),
    (
        SlabFlag::HwcacheAlign,
        "SLAB_HWCACHE_ALIGN",
        0x2000,
        "_SLAB_HWCACHE_ALIGN",
    ),
    (
        SlabFlag::CacheDma,
        "SLAB_CACHE_DMA",
        0x4000,
        "_SLAB_CACHE_DMA",
    ),
    (
        SlabFlag::StoreUser,
        "SLAB_STORE_USER",
        0x1_0000,
        "_SLAB_STORE_USER",
    ),
    (
        SlabFlag::ReclaimAccount,
        "SLAB_RECLAIM_ACCOUNT",
        0x2_0000,
        "_SLAB_RECLAIM_ACCOUNT",
    ),
    (SlabFlag::Panic, "SLAB_PANIC", 0x4_0000, "_SLAB_PANIC"),
    (
        SlabFlag::TypesafeByRcu,
        "SLAB_TYPESAFE_BY_RCU",
        0x8_0000,
        "_SLAB_TYPESAFE_BY_RCU",
    ),
    (
        SlabFlag::Account,
        "SLAB_ACCOUNT",
        0x0400_0000,
        "_SLAB_ACCOUNT",
    ),
    (
        SlabFlag::ObjectPoison,
        "__OBJECT_POISON",
        0x8000_0000,
        "_SLAB_OBJECT_POISON",
    ),
    (
        SlabFlag::CmpxchgDouble,
        "__CMPXCHG_DOUBLE",
        0x4000_0000,
        "_SLAB_CMPXCHG_DOUBLE",
    ),
];

impl SlabFlag {
    fn row(self) -> &'static (SlabFlag, &'static str, u64, &'static str) {
        let row = TABLE.iter().find(|row| row.0 == self);
        row.expect("every flag has a row")
    }

    /// The kernel's name.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its bit in `kmem_cache.flags`.
    pub fn bit(self, types: &TypeTable) -> u64 {
        let (_, _, bit, enumerator) = self.row();
        match types.enumerator(enumerator) {
            Some(number) => 1 << number,
            None => *bit,
        }
    }

    /// One of the flags that make a cache a debugging one.
    pub fn is_debug(self) -> bool {
        matches!(
            self,
            SlabFlag::RedZone
                | SlabFlag::Poison
                | SlabFlag::StoreUser
                | SlabFlag::ConsistencyChecks
        )
    }

    /// One of the flags that forbid merging.
    pub fn forbids_merging(self) -> bool {
        self == SlabFlag::TypesafeByRcu || (self.is_debug() && self != SlabFlag::ConsistencyChecks)
    }
}
