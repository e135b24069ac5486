//! Page pools that can't come to their end: destroyed, or left by their interface, with pages out.

use super::super::accounting::Level;
use super::super::finding::Finding;
use super::Trust;
use crate::graph::{PagesFacts, PoolPages};

/// The kernel itself warns of a pool after so many seconds (DEFER_WARN_INTERVAL of
/// net/core/page_pool.c); until then packets may be on their way.
const STALLED: f64 = 60.0;

/// One for each pool that waits for pages which do not come, or which nothing points to.
pub fn judge(facts: Option<&PagesFacts>, trust: &Trust, page_bytes: u64) -> Vec<Finding> {
    let pools = facts.and_then(|facts| facts.page_pools.as_ref());
    let found = pools.into_iter().flatten();
    found
        .filter_map(|pool| stalled(pool, trust, page_bytes))
        .collect()
}

fn stalled(pool: &PoolPages, trust: &Trust, page_bytes: u64) -> Option<Finding> {
    let facts = &pool.facts;
    let out = facts.out().filter(|out| *out > 0)?;
    let lost = pool.lost.filter(|_| trust.reliable).unwrap_or(0);
    let waits = facts
        .destroyed_seconds
        .is_some_and(|seconds| seconds >= STALLED);
    let ended = match (facts.destroyed, facts.destroyed_seconds) {
        (true, Some(seconds)) => format!("was destroyed {seconds:.0} s before the crash"),
        (true, None) => "was destroyed".to_owned(),
        (false, _) if facts.device_gone => "was left by its interface".to_owned(),
        (false, _) => return None,
    };
    if facts.destroyed && !waits && lost == 0 {
        return None;
    }
    let subject = match pool.name.is_empty() {
        true => format!("page pool {}", facts.address),
        false => format!("page pool {}", pool.name),
    };
    let mut text = format!("it {ended}, and {out} of its blocks have not come back");
    if lost > 0 {
        text = format!("{text}; nothing points to {lost} of them");
    }
    let object = format!(
        "drgn> Object(prog, 'struct page_pool', address={})",
        facts.address
    );
    let pages = out.saturating_mul(facts.block_pages());
    let finding = Finding::new("page-pool-stalled", Level::Suspect, &subject, text);
    Some(Finding {
        bytes: pages.saturating_mul(page_bytes),
        objects: Some(out),
        owner: pool.module.clone(),
        ..finding
            .on_its_message("accounting")
            .check_with(&["vmleak net", "vmleak log", &object])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;
    use crate::graph::Coverage;
    use crate::subsys::net::page_pools::PagePoolFacts;

    fn pool(destroyed_seconds: Option<f64>, lost: Option<u64>) -> PoolPages {
        let facts = PagePoolFacts {
            destroyed: destroyed_seconds.is_some(),
            destroyed_seconds,
            ..PagePoolFacts::example(VirtAddr(0xffff_8880_0000_0000))
        };
        PoolPages {
            facts,
            name: "eth0".to_owned(),
            module: None,
            lost,
        }
    }

    fn found(pool: &PoolPages, all_tasks: bool) -> Option<Finding> {
        let trust = Trust::of(&Coverage {
            all_tasks,
            ..Coverage::default()
        });
        stalled(pool, &trust, 4096)
    }

    #[test]
    fn a_pool_waits_a_minute_before_it_is_suspect() {
        assert!(found(&pool(None, Some(0)), true).is_none(), "in use");
        assert!(found(&pool(None, Some(100)), true).is_none(), "in use");
        assert!(found(&pool(Some(59.0), Some(0)), true).is_none());
        assert!(found(&pool(Some(59.0), None), true).is_none());
        let late = found(&pool(Some(60.0), None), true).expect("a finding");
        assert_eq!((late.level, late.objects), (Level::Suspect, Some(200)));
        assert_eq!(late.bytes, 200 << 12);
    }

    /// Pages that nobody has can't come back: there is no need to wait.
    #[test]
    fn lost_pages_tell_at_once_where_the_search_can_tell() {
        let early = pool(Some(7.0), Some(140));
        let told = found(&early, true).expect("a finding");
        assert_eq!(told.level, Level::Suspect);
        assert!(told.message.ends_with("nothing points to 140 of them"));
        assert!(found(&early, false).is_none(), "the search saw too little");
    }

    #[test]
    fn a_pool_without_its_interface_has_nobody_to_take_pages_back() {
        let mut left = pool(None, Some(0));
        left.facts.device_gone = true;
        assert!(found(&left, true).is_some());
        left.facts.in_flight = Some(56);
        assert!(found(&left, true).is_none(), "all are in cache and ring");
    }
}
