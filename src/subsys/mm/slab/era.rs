//! Which slab allocator, and which shape of it: an enum chosen once.
//!
//! Decided by the members that `struct kmem_cache` has, newest kernel first.

use crate::kernel::page::allocator_home;
use crate::kernel::{Kernel, KernelError};
use crate::types::{TypeDb, TypeError};

/// The structural eras of the slab allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlabEra {
    /// SLUB 7.1 and later: `per_node[]` in place of `node[]` (commit 5ba6bc27b1f9).
    SlubPerNode,
    /// SLUB 7.0: sheaves only, `kmem_cache_cpu` gone (commit 32c894c7274b).
    SlubSheaves,
    /// SLUB 6.18 and 6.19: sheaves beside per-CPU slabs.
    SlubSheavesAndCpuSlabs,
    /// SLUB up to 6.17: per-CPU slabs.
    SlubCpuSlabs,
    /// CONFIG_SLUB_TINY (6.2 and later): neither per-CPU slabs nor sheaves.
    SlubTiny,
    /// SLUB with a child cache per memory cgroup (before 5.9; RHEL 8).
    SlubMemcgChildren,
    /// The classic SLAB (up to 6.7).
    Slab,
    /// The same with a child cache per memory cgroup (before 5.9).
    SlabMemcgChildren,
    /// The classic SLAB up to 3.12, with a `struct slab` of its own.
    SlabOld,
    /// SLOB (up to 6.3), which keeps nothing per cache.
    Slob,
}

impl SlabEra {
    /// Finds the era by what the kernel's types and symbols have.
    ///
    /// # Errors
    /// If the type information is damaged.
    pub fn detect(kernel: &Kernel) -> Result<Self, KernelError> {
        Ok(Self::of(&kernel.types, |name| {
            kernel.symbol(name).is_some()
        })?)
    }

    /// As [`detect`](Self::detect), without a dump.
    ///
    /// # Errors
    /// As there.
    pub fn of(types: &TypeDb, has_symbol: impl Fn(&str) -> bool) -> Result<Self, TypeError> {
        let cache = types
            .find_struct("kmem_cache", allocator_home(types), false)?
            .or(types.find_struct("kmem_cache", "mm/slab_common.c", true)?);
        let has = |member: &str| {
            cache
                .as_ref()
                .is_some_and(|found| found.body.member(member).is_some())
        };
        let copies = types.find_struct("memcg_cache_params", allocator_home(types), false)?;
        let memcg_children =
            has_symbol("slab_root_caches") || has("memcg_params") && copies.is_some();
        Ok(match (has("cpu_slab"), has("cpu_sheaves")) {
            _ if has("cpu_cache") && memcg_children => SlabEra::SlabMemcgChildren,
            _ if has("cpu_cache") => SlabEra::Slab,
            _ if has("slabp_cache") => SlabEra::SlabOld,
            _ if !has("offset") => SlabEra::Slob,
            _ if memcg_children => SlabEra::SlubMemcgChildren,
            (false, true) if has("per_node") => SlabEra::SlubPerNode,
            (false, true) => SlabEra::SlubSheaves,
            (true, true) => SlabEra::SlubSheavesAndCpuSlabs,
            (true, false) => SlabEra::SlubCpuSlabs,
            (false, false) => SlabEra::SlubTiny,
        })
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        match self {
            SlabEra::SlubPerNode => "SLUB with sheaves and per_node[] (7.1 and later)",
            SlabEra::SlubSheaves => "SLUB with sheaves (7.0)",
            SlabEra::SlubSheavesAndCpuSlabs => "SLUB with sheaves and per-CPU slabs (6.18, 6.19)",
            SlabEra::SlubCpuSlabs => "SLUB with per-CPU slabs (up to 6.17)",
            SlabEra::SlubTiny => "SLUB_TINY",
            SlabEra::SlubMemcgChildren => "SLUB with memcg child caches (before 5.9)",
            SlabEra::Slab => "classic SLAB (up to 6.7)",
            SlabEra::SlabMemcgChildren => "classic SLAB with memcg child caches (before 5.9)",
            SlabEra::SlabOld => "classic SLAB (up to 3.12)",
            SlabEra::Slob => "SLOB",
        }
    }

    /// Whether CPUs hold slabs of their own (`kmem_cache_cpu`).
    pub(crate) fn has_cpu_slabs(self) -> bool {
        matches!(
            self,
            SlabEra::SlubCpuSlabs | SlabEra::SlubSheavesAndCpuSlabs | SlabEra::SlubMemcgChildren
        )
    }

    /// Whether free objects lie in sheaves, at least of some caches.
    pub(crate) fn has_sheaves(self) -> bool {
        matches!(
            self,
            SlabEra::SlubSheavesAndCpuSlabs | SlabEra::SlubSheaves | SlabEra::SlubPerNode
        )
    }

    /// Whether it is read, or refused by name.
    pub fn is_supported(self) -> bool {
        !matches!(
            self,
            SlabEra::SlabMemcgChildren | SlabEra::SlabOld | SlabEra::Slob
        )
    }

    /// Refuses, by name, an era that is not supported.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn require_supported(self) -> Result<(), KernelError> {
        if self.is_supported() {
            return Ok(());
        }
        Err(KernelError::Unsupported(format!(
            "this kernel's slab allocator is {}, which vmleak does not read yet; supported: SLUB, and classic SLAB of 5.9 and later",
            self.name()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsupported_era_is_refused_by_name() {
        for era in [SlabEra::SlabMemcgChildren, SlabEra::SlabOld, SlabEra::Slob] {
            let refusal = era.require_supported().expect_err("it is refused");
            assert!(refusal.to_string().contains(era.name()), "{refusal}");
        }
        assert!(SlabEra::SlubPerNode.require_supported().is_ok());
    }
}
