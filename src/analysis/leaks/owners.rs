//! Who may have made the objects: modules and symbols that they, or their cache, point to, and
//! modules whose format strings made the text in them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::accounting::share;
use super::benign;
use crate::graph::{CacheReach, UNLOADED};
use crate::subsys::mm::slab::tracks::Site;

/// Seen in fewer of the unreachable objects than this, a module is no owner.
const SHARE: f64 = 0.5;
/// Places named for each owner.
const SITES: usize = 5;

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
    /// Where they were allocated, the place of most objects first (slub_debug=U).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<Site>,
}

impl Owner {
    /// Whether it is a module with the larger part of the objects.
    pub(super) fn is_module(&self) -> bool {
        self.module != "vmlinux" && self.share.is_none_or(|share| share >= SHARE)
    }
}

/// The owners of a cache's unreachable objects, modules first.
pub(super) fn owners(reach: &CacheReach) -> Vec<Owner> {
    let mut owners = allocators(reach);
    let mut by_module: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    // What is meant to have no pointer to it says nothing of whose the lost are.
    let (clusters, looked_at) = benign::others(&reach.content);
    for cluster in clusters {
        let mut counted: Vec<&str> = Vec::new();
        if let Some(format) = &cluster.format {
            let (objects, how) = by_module.entry(&format.module).or_default();
            let place = match cluster.text_at {
                0 => "begin with".to_owned(),
                at => format!("have at offset {at:#x}"),
            };
            *how = format!(
                "they {place} text that its format {:?} makes",
                format.format
            );
            counted.push(&format.module);
            *objects += cluster.objects;
        }
        for at in &cluster.symbols {
            let module = at.module.as_deref().unwrap_or("vmlinux");
            let (objects, how) = by_module.entry(module).or_default();
            if how.is_empty() {
                *how = match at.symbol == UNLOADED {
                    true => format!(
                        "they point at offset {:#x} {UNLOADED}, and the last one unloaded was {module}",
                        at.offset
                    ),
                    false => format!("they point to {} at offset {:#x}", at.symbol, at.offset),
                };
            }
            // Once, however many symbols of the module its objects point to.
            if !counted.contains(&module) {
                counted.push(module);
                *objects += cluster.objects;
            }
        }
    }
    for (module, (objects, how)) in by_module {
        let share = share(objects, looked_at).min(1.0);
        if share >= SHARE {
            owners.push(Owner {
                module: module.to_owned(),
                how,
                share: Some(share),
                sites: Vec::new(),
            });
        }
    }
    for variable in &reach.variables {
        if let Some(module) = &variable.module {
            owners.push(Owner {
                module: module.clone(),
                how: format!("its variable {} holds the cache", variable.function),
                share: None,
                sites: Vec::new(),
            });
        }
    }
    owners.sort_by_key(|owner| owner.module == "vmlinux");
    owners
}

/// Those whose code allocated the unreachable objects, where the kernel kept it. All of them: it is no
/// guess, and several may leak.
fn allocators(reach: &CacheReach) -> Vec<Owner> {
    let Some(facts) = &reach.sites else {
        return Vec::new();
    };
    let mut by_module: BTreeMap<&str, Vec<&Site>> = BTreeMap::new();
    for site in facts.sites.iter().filter(|site| site.caller.is_some()) {
        let module = site.module.as_deref().unwrap_or("vmlinux");
        by_module.entry(module).or_default().push(site);
    }
    let mut owners: Vec<(u64, Owner)> = by_module
        .into_iter()
        .filter_map(|(module, sites)| {
            let objects = sites.iter().map(|site| site.objects).sum();
            let first = sites.first()?.place()?;
            let how = format!(
                "it allocated {objects} of the {} that nothing points to, most of them at {first}",
                reach.unreachable
            );
            let owner = Owner {
                module: module.to_owned(),
                how,
                share: Some(share(objects, reach.unreachable).min(1.0)),
                sites: sites.into_iter().take(SITES).cloned().collect(),
            };
            Some((objects, owner))
        })
        .collect();
    owners.sort_by_key(|(objects, _)| std::cmp::Reverse(*objects));
    owners.into_iter().map(|(_, owner)| owner).collect()
}
