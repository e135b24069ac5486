//! The kmalloc caches summed up by size.
//!
//! kmalloc() of one size is spread over many caches: for DMA, reclaimable and accounted
//! memory, and with CONFIG_RANDOM_KMALLOC_CACHES (6.6 and later) or partitions (7.2) over
//! sixteen copies, by who calls. A leak of one kind of object then shows in each of them
//! a little, and in their sum.

use serde::Serialize;

use crate::subsys::mm::slab::{CacheFacts, ExactView};

/// All kmalloc caches of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Family {
    /// As the plain cache of this size is called: `kmalloc-64`.
    pub name: String,
    /// Bytes of an object.
    pub object_size: u32,
    /// The caches summed up, in the order of the list.
    pub caches: Vec<String>,
    /// Their sums; complete only if all of them are.
    pub exact: ExactView,
}

/// The sums by size, smallest first. A size with one cache is a family too.
pub fn of(caches: &[CacheFacts]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for cache in caches {
        let Some(name) = family_of(&cache.name) else {
            continue;
        };
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => {
                family.caches.push(cache.name.clone());
                family.exact.add(&cache.exact);
            }
            None => families.push(Family {
                name,
                object_size: cache.object_size,
                caches: vec![cache.name.clone()],
                exact: cache.exact.clone(),
            }),
        }
    }
    families.sort_by_key(|family| family.object_size);
    families
}

/// The name of the family that a cache belongs to: `kmalloc-rnd-07-64` and `dma-kmalloc-64` are
/// of `kmalloc-64` (mm/slab_common.c: kmalloc_info).
pub(super) fn family_of(cache: &str) -> Option<String> {
    let name = cache.strip_prefix("dma-").unwrap_or(cache);
    let rest = name.strip_prefix("kmalloc-")?;
    let size = rest.rsplit('-').next()?;
    let digits = size.strip_suffix(['k', 'M']).unwrap_or(size);
    let is_size = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_size.then(|| format!("kmalloc-{size}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_their_size() {
        let family = |name| family_of(name).unwrap_or_default();
        for name in [
            "kmalloc-8k",
            "kmalloc-cg-8k",
            "kmalloc-rcl-8k",
            "dma-kmalloc-8k",
            "kmalloc-rnd-15-8k",
            "kmalloc-part-01-8k",
            "kmalloc-no-objext-8k",
        ] {
            assert_eq!(family(name), "kmalloc-8k", "{name}");
        }
        assert_eq!(family("kmalloc-96"), "kmalloc-96");
        for name in [
            "kmalloc_buckets",
            "kmalloc-",
            "kmalloc-cg",
            "memdup_user-96",
            "dma-k",
        ] {
            assert_eq!(family(name), "", "{name}");
        }
    }
}
