//! `kmem_cache.flags` in words.
//!
//! Up to 6.8 the bits are macros with fixed values (include/linux/slab.h); since 6.9
//! they are an enumeration whose numbering depends on the configuration
//! (`_slab_flag_bits`), so they are taken from the kernel's types.

use super::era::SlabEra;
use crate::kernel::page::allocator_home;
use crate::kernel::{Kernel, KernelError};

/// Macros up to 6.8; the same in every tree from 4.18 on.
const FIXED: [(&str, u64); 21] = [
    ("CONSISTENCY_CHECKS", 0x0000_0100),
    ("RED_ZONE", 0x0000_0400),
    ("POISON", 0x0000_0800),
    ("KMALLOC", 0x0000_1000),
    ("HWCACHE_ALIGN", 0x0000_2000),
    ("CACHE_DMA", 0x0000_4000),
    ("CACHE_DMA32", 0x0000_8000),
    ("STORE_USER", 0x0001_0000),
    ("RECLAIM_ACCOUNT", 0x0002_0000),
    ("PANIC", 0x0004_0000),
    ("TYPESAFE_BY_RCU", 0x0008_0000),
    ("MEM_SPREAD", 0x0010_0000),
    ("TRACE", 0x0020_0000),
    ("DEBUG_OBJECTS", 0x0040_0000),
    ("NOLEAKTRACE", 0x0080_0000),
    ("NO_MERGE", 0x0100_0000),
    ("FAILSLAB", 0x0200_0000),
    ("ACCOUNT", 0x0400_0000),
    ("KASAN", 0x0800_0000),
    ("NO_USER_FLAGS", 0x1000_0000),
    ("SKIP_KFENCE", 0x2000_0000),
];

/// What classic SLAB notes of where a slab's array of indices lies (mm/slab.c).
const CLASSIC: [(&str, u64); 2] = [("OBJFREELIST_SLAB", 0x4000_0000), ("OFF_SLAB", 0x8000_0000)];

/// The bits and names of this kernel.
#[derive(Clone, Debug)]
pub struct CacheFlags {
    names: Vec<(String, u64)>,
}

impl CacheFlags {
    /// Takes the bits from the kernel's types, or those that every older kernel has.
    ///
    /// # Errors
    /// If the type information is damaged.
    pub fn read(kernel: &Kernel, era: SlabEra) -> Result<Self, KernelError> {
        let home = allocator_home(&kernel.types);
        let bits = kernel.types.enumeration("_slab_flag_bits", home)?;
        let names = match bits {
            Some(bits) => bits
                .into_iter()
                .filter(|(name, bit)| name.starts_with("_SLAB_") && (0..64).contains(bit))
                .filter(|(name, _)| name != "_SLAB_FLAGS_LAST_BIT")
                .map(|(name, bit)| (name.replacen("_SLAB_", "", 1), 1 << bit))
                .collect(),
            None => {
                let more = CLASSIC.iter().filter(|_| era == SlabEra::Slab);
                let all = FIXED.iter().chain(more);
                all.map(|(name, bit)| ((*name).to_owned(), *bit)).collect()
            }
        };
        Ok(Self { names })
    }

    /// The mask of a flag; 0 in a kernel without it.
    pub fn mask(&self, name: &str) -> u64 {
        self.names
            .iter()
            .find(|(known, _)| known == name)
            .map_or(0, |(_, mask)| *mask)
    }

    /// The names of the flags set, in the order of their bits.
    pub fn describe(&self, flags: u64) -> Vec<String> {
        self.names
            .iter()
            .filter(|(_, mask)| flags & mask != 0)
            .map(|(name, _)| name.clone())
            .collect()
    }
}
