//! Whose copy a cache is: `kmem_cache.memcg_params`, in the three shapes that it had up to 5.8.
//!
//! Layer: subsys. Input: the bytes of a `struct kmem_cache`. Output: the cache that it is a copy
//! of, and the memory cgroup that it is for. Up to 3.19 the structure is pointed to, and null in
//! caches that have none; since 4.0 (commit f7ce3190c4a3) it is embedded. Up to 4.10 a flag tells
//! roots, in which the same bytes hold other things; since (commit 9eeadc8b6e02) a null `root_cache`
//! does.

use super::layouts::CacheLayout;
use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, LayoutError, layout};
use crate::space::MemFault;

layout! {
    /// include/linux/slab.h, up to 5.8.
    struct CopyLayout = "memcg_cache_params" in "mm/slub.c" {
        /// Up to 4.10.
        maybe is_root_cache = "is_root_cache",
        need root_cache = "root_cache",
        /// Only in a copy; in any other cache the same bytes are a list.
        need memcg = "memcg",
    }
}

/// What a cache is a copy of, and for which cgroup's `struct mem_cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) root: VirtAddr,
    pub(super) memcg: Option<VirtAddr>,
}

/// Reads it.
pub(super) struct Copies {
    params: Field,
    layout: CopyLayout,
}

impl Copies {
    /// `None` in kernels without copies.
    pub(super) fn find(kernel: &Kernel, cache: &CacheLayout) -> Result<Option<Self>, LayoutError> {
        let Some(params) = cache.memcg_params else {
            return Ok(None);
        };
        match kernel.layout() {
            Ok(layout) => Ok(Some(Self { params, layout })),
            Err(LayoutError::NoStruct(_) | LayoutError::NoMember { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Of one cache by its bytes; `None` for one that is its own.
    pub(super) fn original(
        &self,
        kernel: &Kernel,
        cache: &[u8],
    ) -> Result<Option<Original>, MemFault> {
        let embedded = self.params.size as usize >= self.layout.len;
        if embedded {
            let params = slice(cache, self.params.offset as usize, self.layout.len);
            return Ok(params.and_then(|params| self.in_params(params)));
        }
        let at = VirtAddr(self.params.get(cache));
        if at.is_null() {
            return Ok(None);
        }
        // In a root what follows the flag has the length of its array alone.
        if let Some(flag) = &self.layout.is_root_cache {
            let head = kernel.space.read_bytes(at, flag.end())?;
            if flag.get(&head) != 0 {
                return Ok(None);
            }
        }
        let params = kernel.space.read_bytes(at, self.layout.len)?;
        Ok(self.in_params(&params))
    }

    fn in_params(&self, params: &[u8]) -> Option<Original> {
        let is_root = self.layout.is_root_cache;
        if is_root.is_some_and(|flag| flag.get(params) != 0) {
            return None;
        }
        let address = |field: &Field| Some(VirtAddr(field.get(params))).filter(|at| !at.is_null());
        Some(Original {
            root: address(&self.layout.root_cache)?,
            memcg: address(&self.layout.memcg),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(flag: bool) -> Copies {
        let field = |offset, size| Field {
            offset,
            size,
            bits: None,
        };
        Copies {
            params: field(0, 64),
            layout: CopyLayout {
                struct_size: 64,
                len: 40,
                is_root_cache: flag.then_some(field(0, 1)),
                root_cache: field(32, 8),
                memcg: field(8, 8),
            },
        }
    }

    /// include/linux/slab.h of 3.10: `{is_root_cache, {memcg_caches[]} or {memcg, list, root_cache}}`.
    #[test]
    fn in_a_root_the_same_bytes_are_something_else() {
        let mut params = [0u8; 40];
        params[8..16].copy_from_slice(&0xffff_8800_0000_1000u64.to_le_bytes());
        params[32..40].copy_from_slice(&0xffff_8800_0000_2000u64.to_le_bytes());
        let copy = Original {
            root: VirtAddr(0xffff_8800_0000_2000),
            memcg: Some(VirtAddr(0xffff_8800_0000_1000)),
        };
        assert_eq!(copies(true).in_params(&params), Some(copy));
        params[0] = 1;
        assert_eq!(copies(true).in_params(&params), None);
        assert_eq!(copies(false).in_params(&params), Some(copy));
        params[32..40].fill(0);
        assert_eq!(copies(false).in_params(&params), None);
    }
}
