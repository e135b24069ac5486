//! Command lines that check a verdict by another way.

use super::benign;
use crate::graph::CacheReach;
use crate::subsys::mm::slab::CacheFacts;

/// For crash and drgn, on the same dump.
pub(super) fn commands(cache: &CacheFacts, reach: &CacheReach) -> Vec<String> {
    let mut commands = vec![format!("crash> kmem -S {}", cache.name)];
    let (mut clusters, lost) = benign::others(&reach.content);
    let example = clusters.next().and_then(|first| first.examples.first());
    let example = match lost {
        // All that nothing points to is meant so: what is kept is the matter.
        0 => reach
            .kept
            .clusters
            .first()
            .and_then(|first| first.examples.first()),
        _ => example.or(reach.lost.first()),
    };
    if let Some(example) = example {
        let words = cache.object_size.div_ceil(8).min(32);
        commands.extend([
            format!("crash> rd -SS {example} {words}"),
            format!(
                "crash> search -k -m {:#x} {example}",
                cache.size.next_power_of_two() - 1
            ),
            // Allocated, and of this cache; its own search stops at pages that dumps leave out.
            format!("drgn> slab_object_info(prog, {example})"),
        ]);
    }
    commands
}
