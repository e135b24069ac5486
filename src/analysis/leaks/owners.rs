//! Who may have made the objects: modules and symbols that they, or their cache, point to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::accounting::share;
use crate::subsys::reach::CacheReach;

/// Seen in fewer of the lost objects than this, a module is no owner.
const SHARE: f64 = 0.5;

/// Somebody whose objects these seem to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Owner {
    /// The module, or `vmlinux` for the kernel itself.
    pub module: String,
    /// How that is known, in words.
    pub how: String,
    /// Objects that say so, of those looked at; `None` if the cache itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// The owners of a cache's lost objects, modules first.
pub(super) fn owners(reach: &CacheReach) -> Vec<Owner> {
    let mut owners = Vec::new();
    let mut by_module: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    for cluster in &reach.content.clusters {
        let mut counted: Vec<&str> = Vec::new();
        for at in &cluster.symbols {
            let module = at.module.as_deref().unwrap_or("vmlinux");
            let (objects, how) = by_module.entry(module).or_default();
            if how.is_empty() {
                *how = format!("they point to {} at offset {:#x}", at.symbol, at.offset);
            }
            // Once, however many symbols of the module its objects point to.
            if !counted.contains(&module) {
                counted.push(module);
                *objects += cluster.objects;
            }
        }
    }
    for (module, (objects, how)) in by_module {
        let share = share(objects, reach.content.looked_at).min(1.0);
        if share >= SHARE {
            owners.push(Owner {
                module: module.to_owned(),
                how,
                share: Some(share),
            });
        }
    }
    for variable in &reach.variables {
        if let Some(module) = &variable.module {
            owners.push(Owner {
                module: module.clone(),
                how: format!("its variable {} holds the cache", variable.function),
                share: None,
            });
        }
    }
    owners.sort_by_key(|owner| owner.module == "vmlinux");
    owners
}
