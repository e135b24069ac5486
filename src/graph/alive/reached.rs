//! How many objects of each cache have a path, and whose root has a name.

use serde::Serialize;

use super::Alive;
use super::path::Paths;
use super::strong::{Reached, Role};

/// The paths to the objects of one cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CachePaths {
    /// The cache.
    pub cache: String,
    /// Objects in use.
    pub objects: u64,
    /// To how many of them a path leads.
    pub reached: u64,
    /// To how many from a root with a name.
    pub named: u64,
    /// To how many by links that own, all the way.
    pub owned: u64,
}

/// Caches told, those with most bytes first.
const TOLD: usize = 20;

impl Alive<'_> {
    /// Of the largest caches.
    pub(super) fn paths(&self) -> Vec<CachePaths> {
        let roots = Paths::of(self).roots();
        let caches = self.search.heap.caches();
        let mut all: Vec<(u64, CachePaths)> = caches
            .iter()
            .map(|cache| {
                let paths = CachePaths {
                    cache: cache.name.clone(),
                    objects: 0,
                    reached: 0,
                    named: 0,
                    owned: 0,
                };
                (0, paths)
            })
            .collect();
        for (node, role) in self.roles.iter() {
            if role == Role::Absent || !self.classes.is_object(node) {
                continue;
            }
            let Some((bytes, paths)) = all.get_mut(self.classes.of(node) as usize) else {
                continue;
            };
            *bytes += self.bytes.sum(node);
            paths.objects += 1;
            if let Some(root) = roots.get(node).filter(|root| *root != u32::MAX) {
                paths.reached += 1;
                paths.named += u64::from(self.is_named(root));
                let owned = self.strong.reached.get(node) == Some(Reached::Owned as u8);
                paths.owned += u64::from(owned);
            }
        }
        all.sort_by_key(|(bytes, paths)| (std::cmp::Reverse(*bytes), paths.cache.clone()));
        all.into_iter().take(TOLD).map(|(_, paths)| paths).collect()
    }
}
