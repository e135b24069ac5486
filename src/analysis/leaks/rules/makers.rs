//! Objects of kmalloc's caches that are all one module's: by the functions that they point to, as
//! those of timers, work and callbacks, and by the text that its formats made.

use std::collections::BTreeMap;

use super::super::owners::Owner;
use super::piles::is_own;
use super::{Evidence, reason};
use crate::analysis::accounting::share;
use crate::graph::{CacheReach, UNLOADED};
use crate::subsys::mm::slab::CacheFacts;

/// So large a part of a cache that everybody uses is no usual share of one module.
const PART: f64 = 0.5;
/// Less is not worth a word: objects, and bytes.
const OBJECTS: f64 = 1000.0;
const BYTES: f64 = (1 << 20) as f64;

impl Evidence {
    /// The module that most objects of the cache, which is not its own, say to be of.
    pub(super) fn made_by_module(
        &mut self,
        cache: &CacheFacts,
        reach: &CacheReach,
    ) -> Option<Owner> {
        let mut of: BTreeMap<&str, (u64, String)> = BTreeMap::new();
        for cluster in &reach.kept.clusters {
            let symbol = cluster.symbols.iter().find(|at| at.module.is_some());
            let (module, how) = match (symbol, &cluster.format) {
                (Some(at), _) => {
                    let offset = at.offset;
                    let how = match at.symbol == UNLOADED {
                        true => format!("point at offset {offset:#x} {UNLOADED}"),
                        false => format!("point to {} at offset {offset:#x}", at.symbol),
                    };
                    (at.module.as_deref().unwrap_or_default(), how)
                }
                (None, Some(format)) => {
                    let how = format!("have text that its format {:?} makes", format.format);
                    (format.module.as_str(), how)
                }
                (None, None) => continue,
            };
            let (objects, first) = of.entry(module).or_default();
            if *objects == 0 {
                *first = how;
            }
            *objects += cluster.objects;
        }
        let largest = of.into_iter().max_by_key(|(_, (objects, _))| *objects);
        let (module, (objects, how)) = largest?;
        let part = share(objects, reach.kept.looked_at);
        // Those that something points to, of which the sample is.
        let kept = reach.judged.saturating_sub(reach.unreachable);
        let about = part * kept as f64;
        let is_much = part >= PART && about >= OBJECTS && about * f64::from(cache.size) >= BYTES;
        if !is_much || is_own(reach, &Some(module.to_owned())) {
            return None;
        }
        let text = format!(
            "about {:.0} % of its objects are module {module}'s, of a sample of {}: they {how}, and something holds them still",
            part * 100.0,
            reach.kept.looked_at
        );
        self.holds(reason("made-by-module", "content", text));
        Some(Owner {
            module: module.to_owned(),
            how: format!("they {how}"),
            share: Some(part),
            sites: Vec::new(),
        })
    }
}
