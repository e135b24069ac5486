use super::*;
use crate::addr::VirtAddr;
use crate::graph::Holder;
use crate::graph::{Cluster, Content, SymbolAt};
use crate::kernel::formats::Format;
use crate::kernel::symbolize::Symbolized;
use crate::subsys::mm::slab::{Damage, ExactView, Occupancy, SlabinfoView};

pub(in crate::analysis::leaks) fn cache(name: &str, allocated: u64) -> CacheFacts {
    CacheFacts {
        name: name.into(),
        aliases: vec![],
        address: VirtAddr(0),
        object_size: 64,
        size: 64,
        align: 8,
        objects_per_slab: 64,
        pages_per_slab: 1,
        flags: vec![],
        reclaimable: false,
        slabinfo: SlabinfoView::default(),
        exact: ExactView {
            objects: allocated,
            allocated,
            allocated_min: allocated,
            allocated_max: allocated,
            bytes: allocated * 64,
            complete: true,
            ..ExactView::default()
        },
        occupancy: Occupancy::default(),
        rcu_slabs: 0,
        kfence_pages: 0,
        memcg_children: 0,
        damage: Damage::default(),
    }
}

/// Of 1 GiB of RAM.
fn judged(cache: &CacheFacts, reach: &CacheReach, coverage: &Coverage) -> CacheJudgement {
    let totals = SlabTotals {
        memory_bytes: Some(1 << 30),
        ..SlabTotals::of(std::slice::from_ref(cache), Some(1 << 30))
    };
    let context = Context {
        totals: &totals,
        trust: &Trust::of(coverage),
        coverage,
        bounds: &[],
        containers: None,
    };
    judge(cache, reach, &context)
}

fn whole() -> Coverage {
    Coverage {
        slab_pages: 39_000,
        all_tasks: true,
        ..Coverage::default()
    }
}

/// So many that nothing points to, all of which begin with a text that a module makes.
fn lost(objects: u64) -> CacheReach {
    let format = Format {
        module: "leaky".into(),
        format: "leaky-buf-%06d".into(),
    };
    CacheReach {
        judged: objects,
        unreachable: objects,
        sources: objects,
        content: Content {
            looked_at: objects,
            clusters: vec![Cluster {
                text: Some("leaky-buf-".into()),
                text_at: 0,
                format: Some(format),
                symbols: vec![],
                empty_lists: vec![],
                objects,
                examples: vec![],
                members: vec![],
            }],
        },
        ..CacheReach::default()
    }
}

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn the_module_that_makes_a_text_is_its_owner() {
    let found = judged(&cache("kmalloc-256", 6000), &lost(6000), &whole());
    assert_eq!(found.verdict.level, Level::Leak);
    assert_eq!(
        codes(&found.verdict.r#for),
        ["unreachable", "alike", "owner", "large-share"]
    );
    assert_eq!(found.owners[0].module, "leaky");
    assert!(found.owners[0].how.contains("leaky-buf-%06d"));
}

/// Headers of sysctl tables lie in caches that leak, too.
#[test]
fn what_is_meant_to_be_unreachable_owns_nothing_and_is_no_example() {
    let header = |objects: u64| Cluster {
        text: None,
        text_at: 0,
        format: None,
        symbols: vec![SymbolAt {
            offset: 0x20,
            symbol: "kernel_base_table".into(),
            module: None,
        }],
        empty_lists: vec![],
        objects,
        examples: vec![VirtAddr(0x1000)],
        members: vec![],
    };
    let mut reach = lost(6000);
    reach.unreachable += 1;
    reach.content.looked_at += 1;
    reach.content.clusters.push(header(1));
    let found = judged(&cache("kmalloc-128", 6001), &reach, &whole());
    assert_eq!(found.unreachable.benign, 1);
    assert_eq!(found.unreachable.lost(), Some(6000));
    assert_eq!(found.owners[0].share, Some(1.0), "of those that are lost");

    let mut reach = CacheReach {
        judged: 6001,
        unreachable: 1,
        ..CacheReach::default()
    };
    reach.content.looked_at = 1;
    reach.content.clusters.push(header(1));
    let found = judged(&cache("kmalloc-128", 6001), &reach, &whole());
    assert_eq!(found.owners, []);
    assert!(found.check_with.iter().all(|line| !line.contains("0x1000")));
}

/// Ten of 39,000 pages missing made reachable objects look unreachable, on a real dump of 7.2.
#[test]
fn where_anything_is_missing_there_is_no_leak() {
    let with = |missing, objects| {
        let coverage = Coverage {
            slab_pages_missing: missing,
            ..whole()
        };
        judged(&cache("kmalloc-32", objects), &lost(objects), &coverage)
    };
    for (missing, objects, level) in [
        (0, 300, Level::Leak),
        (1, 300, Level::Inconclusive),
        (10, 300, Level::Inconclusive),
        (10, 6000, Level::Suspect),
        (1000, 6000, Level::Inconclusive),
    ] {
        let found = with(missing, objects);
        assert_eq!(found.verdict.level, level, "{missing} {objects}");
        let told = (missing == 0).then_some(objects);
        assert_eq!(found.unreachable.objects, told, "{missing} {objects}");
        let unchecked = codes(&found.verdict.not_checked);
        assert_eq!(unchecked.contains(&"slab-pages-missing"), missing > 0);
    }
}

/// Free objects of a CPU whose structure is missing look like objects in use.
#[test]
fn a_cache_of_which_free_objects_may_look_in_use_loses_none() {
    let broken: [fn(&mut Damage); 2] = [|d| d.lost_cpu_slabs = 1, |d| d.broken_sheaves = 1];
    for damage in broken {
        let mut cache = cache("kmalloc-256", 6000);
        damage(&mut cache.damage);
        cache.exact.complete = false;
        let found = judged(&cache, &lost(6000), &whole());
        assert_eq!(found.verdict.level, Level::Inconclusive);
        assert_eq!(found.unreachable.objects, None);
    }
}

/// Dentries are linked to each other on every machine, and a module that has made a file in
/// debugfs holds one.
#[test]
fn only_a_list_that_starts_in_a_module_is_one_of_its() {
    let held = |by: &str, references, module: Option<&str>| Holder {
        holder: by.into(),
        references,
        module: module.map(str::to_owned),
    };
    let is_hinted = |others: u64| {
        let zram = held("zram_debugfs_root [zram]", 1, Some("zram"));
        let reach = CacheReach {
            judged: 2000,
            holders: vec![
                held("dentry+0x90", 1749, None),
                held("inode_cache+0x138", others, None),
                zram.clone(),
            ],
            in_modules: vec![zram],
            ..CacheReach::default()
        };
        let verdict = judged(&cache("dentry", 2000), &reach, &whole()).verdict;
        // A hint, for nobody has looked how long the list is.
        assert!(verdict.level < Level::Suspect);
        let mut reasons = verdict.r#for.iter();
        reasons.any(|reason| reason.code == "linked-from-module")
    };
    assert!(is_hinted(0));
    assert!(!is_hinted(1461));
}

/// Timers, work and callbacks of one module in a cache that everybody uses: reachable, but whose?
#[test]
fn a_cache_that_is_mostly_one_modules_is_suspect() {
    let kept = |allocated: u64, objects: u64| CacheReach {
        judged: allocated,
        kept: Content {
            looked_at: 1000,
            clusters: vec![Cluster {
                text: None,
                text_at: 0,
                format: None,
                symbols: vec![SymbolAt {
                    offset: 0x18,
                    symbol: "expired".into(),
                    module: Some("hoard".into()),
                }],
                empty_lists: vec![],
                objects,
                examples: vec![],
                members: vec![],
            }],
        },
        ..CacheReach::default()
    };
    let level = |allocated, objects, coverage: &Coverage| {
        let found = judged(
            &cache("kmalloc-64", allocated),
            &kept(allocated, objects),
            coverage,
        );
        let owner = found.owners.first().map(|owner| owner.module.clone());
        (found.verdict.level, owner)
    };
    let (of_half, owner) = level(40_000, 600, &whole());
    assert_eq!(of_half, Level::Suspect);
    assert_eq!(owner.as_deref(), Some("hoard"));
    // Less than half of it, or less than a MiB.
    assert!(level(40_000, 400, &whole()).0 < Level::Suspect);
    assert!(level(10_000, 900, &whole()).0 < Level::Suspect);
    // One that a module made for itself is its own.
    let mut own = kept(40_000, 900);
    own.variables = vec![Symbolized {
        module: Some("hoard".into()),
        function: "hoard_cache".into(),
        offset: 0,
        size: 8,
    }];
    let found = judged(&cache("kmalloc-64", 40_000), &own, &whole());
    assert!(found.verdict.level < Level::Suspect);
    // Whose the kept ones are says nothing of the lost.
    let both = CacheReach {
        unreachable: 30_000,
        sources: 30_000,
        ..kept(40_000, 900)
    };
    let found = judged(&cache("kmalloc-64", 40_000), &both, &whole());
    assert_eq!(found.owners, []);
    let reasons = codes(&found.verdict.r#for);
    assert!(!reasons.contains(&"made-by-module") && !reasons.contains(&"owner"));
}

/// 7.2 with ten pages of zeros: 81 probes of character devices, whose table was among them, were
/// called a leak because all of them point to exact_match.
#[test]
fn what_one_page_may_have_led_to_is_no_leak_for_being_alike() {
    let nobodys = |objects| {
        let mut reach = lost(objects);
        let cluster = &mut reach.content.clusters[0];
        (cluster.text, cluster.format) = (None, None);
        cluster.symbols = vec![SymbolAt {
            offset: 0x20,
            symbol: "exact_match".into(),
            module: None,
        }];
        judged(&cache("kmalloc-64", 2629), &reach, &whole()).verdict
    };
    let few = nobodys(512);
    assert_eq!(few.level, Level::Suspect);
    assert!(codes(&few.not_checked).contains(&"one-page"));
    let many = nobodys(513);
    assert_eq!(many.level, Level::Leak);
    assert!(!codes(&many.not_checked).contains(&"one-page"));
    // Those of a module are its own, however few.
    let owned = judged(&cache("kmalloc-64", 2629), &lost(81), &whole());
    assert_eq!(owned.verdict.level, Level::Leak);
}
