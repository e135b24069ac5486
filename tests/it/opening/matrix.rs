//! The version matrix: profiles of many distribution kernels. On each one every layout
//! resolves, or is refused by name, and is made of the members that the kernel has.
//!
//! What is expected stands here by release, from the kernel's history; vmleak itself never
//! compares releases. Where a release is not in the tables, the layout has to resolve.

mod members;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vmleak::kernel::layout::{LayoutError, Registered};
use vmleak::kernel::shapes::{self, Era};
use vmleak::subsys::mm::slab::era::SlabEra;
use vmleak::types::{Profile, TypeDb};

use members::MEMBERS;

type Release = (u32, u32);

const FIRST: Release = (0, 0);
const NEXT: Release = (u32::MAX, 0);

/// Layouts, or the structures of all layouts, that are not in all releases: since, and gone by.
const STRUCTURES: &[(&str, Release, Release)] = &[
    // Commit d5c419b68e36, "cgroup: move cgroup->sibling and ->children into cgroup_subsys_state".
    ("CgroupTreeLayout", (3, 10), (3, 16)),
    // Commit e61734c55c24, "cgroup: remove cgroup->name".
    ("CgroupNameLayout", (3, 10), (3, 15)),
    // Commit 0a835c4f090a, "Reimplement IDR and IDA using the radix tree".
    ("LayersLayout", (3, 10), (4, 11)),
    ("IdrLayerLayout", (3, 10), (4, 11)),
    // Commit 0d02129e76ed, "block: merge struct block_device and struct hd_struct".
    ("PartLayout", FIRST, (5, 11)),
    // Commit 625788b58445, "net: add per-cpu storage and net->core_stats".
    ("CoreStatsLayout", (5, 18), NEXT),
    // "lib: code tagging framework", 6.10.
    ("AllocTagLayout", (6, 10), NEXT),
    ("AllocCountersLayout", (6, 10), NEXT),
    ("CodetagTypeLayout", (6, 10), NEXT),
    ("CodetagModuleLayout", (6, 10), NEXT),
    // Commit 2d146aa3aa84, "mm: memcontrol: switch to rstat".
    ("MemcgStatsLayout", (5, 13), NEXT),
    // "mm: memcontrol: make cgroup stats and events query API explicitly local".
    ("MemcgCpuCountLayout", FIRST, (5, 2)),
    // Commit 5ba6bc27b1f9.
    ("PerNodeLayout", (7, 1), NEXT),
    // Commit 32c894c7274b, "remove struct kmem_cache_cpu".
    ("CpuSlabLayout", FIRST, (7, 0)),
    // Commit 2d517aa09bbc and those around it.
    ("CpuSheavesLayout", (6, 18), NEXT),
    ("SheafLayout", (6, 18), NEXT),
    ("BarnLayout", (6, 18), NEXT),
    ("DeferredLayout", (6, 18), (7, 3)),
    ("DeferredWorkLayout", (7, 3), NEXT),
    ("DeferredSheafLayout", (6, 18), NEXT),
    // Commit d122019bf061, "mm: Split slab into its own type".
    ("SlabLayout", (5, 17), NEXT),
    ("DeferredSlabLayout", (5, 17), NEXT),
    ("SlabInPageLayout", FIRST, (5, 17)),
    // "mm/slab: remove mm/slab.c and slab_def.h", 6.8.
    ("ClassicCacheLayout", FIRST, (6, 8)),
    ("ClassicNodeLayout", FIRST, (6, 8)),
    ("ArrayCacheLayout", FIRST, (6, 8)),
    ("AlienCacheLayout", FIRST, (6, 8)),
    ("ClassicSlabLayout", (5, 17), (6, 8)),
    ("ClassicSlabInPageLayout", FIRST, (5, 17)),
    // Commit 7b230db3b8d3.
    ("FolioLayout", (5, 16), NEXT),
    // Commit 0ce20dd84089.
    ("MetadataLayout", (5, 12), NEXT),
    // Commit ac3b43283923.
    ("MemoryLayout", (6, 4), NEXT),
    // Commit 951bb64621b8, "bpf: Add in-kernel split BTF support".
    ("BtfLayout", (5, 11), NEXT),
    // Commit 36e68442d1af, "bpf: Load and verify kernel module BTFs".
    ("BtfModuleLayout", (5, 11), NEXT),
    ("NtpLayout", (6, 13), NEXT),
    // Commit 8a75a2c17410, "netfilter: conntrack: remove unconfirmed list".
    ("PcpuListsLayout", FIRST, (5, 19)),
    ("RingLayout", (5, 10), NEXT),
    ("DescLayout", (5, 10), NEXT),
    // Commit 896fbe20b4e2, "printk: use the lockless ringbuffer".
    ("printk_log", FIRST, (5, 10)),
    // Commit 62e32ac3505a, "printk: rename struct log to struct printk_log".
    ("log", FIRST, (3, 11)),
    // Commit e513cc1c07e2, "module: Remove stop_machine from module unloading".
    ("module_ref", FIRST, (3, 19)),
    // Commit 8244062ef1e5, "modules: fix longstanding /proc/kallsyms vs module insertion race".
    ("OwnKallsymsLayout", FIRST, (4, 5)),
    // Commit 9855609bde03, "mm: memcg/slab: use a single set of kmem_caches for all accounted
    // allocations".
    ("memcg_cache_params", FIRST, (5, 9)),
    // Commit a39aca678a06.
    ("netns_frags", FIRST, (5, 3)),
    // `block_device.bd_list` went before 5.9.
    ("DeviceLayout", FIRST, (5, 9)),
    // Commit 217b2119b9e2, "mm,page_owner: implement the tracking of the stacks count".
    ("StackListLayout", (6, 9), NEXT),
    // Commit 28f836b6777b, "mm/page_alloc: split per cpu page lists and zone stats".
    ("per_cpu_pageset", FIRST, (5, 14)),
    ("per_cpu_zonestat", (5, 14), NEXT),
    // With `struct slab`.
    ("OwnersLayout", (5, 17), NEXT),
    ("VectorLayout", (5, 17), NEXT),
    // Commit 21c690a349ba, "mm: introduce slabobj_ext".
    ("SlabExtLayout", (6, 10), NEXT),
    // Commit a42aaad2e47b.
    ("kexec_load_limit", (6, 3), NEXT),
    // Commit 740ebe35bd3f.
    ("mptcp_sched_ops", (6, 6), NEXT),
    // Commit 2658b5a8a4ee.
    ("net_hotdata", (6, 9), NEXT),
    // Commit d093602919ad.
    ("vmap_node", (6, 9), NEXT),
    ("mptcp_pm_ops", (6, 15), NEXT),
    // "page_pool: refurbish version of page_pool code", and what keeps its pools with XDP.
    ("PagePoolLayout", (4, 18), NEXT),
    ("XdpAllocatorLayout", (4, 18), NEXT),
    // Commit 99c07c43c4ea, "xdp: tracking page_pool resources and safe removal".
    ("PoolReleaseLayout", (5, 3), NEXT),
    // Commit f3d85c9ee510.
    ("NetmemLayout", (6, 17), NEXT),
    ("PoolRingLayout", (4, 8), NEXT),
    ("PoolArrayLayout", (4, 20), NEXT),
    // Commit 494af3ed7848, "timers: Give a few structs and members proper names".
    ("WheelLayout", (4, 8), NEXT),
    // Commit 07d78363dcff, "net: Convert NAPI gro list into a small hash table".
    ("GroListLayout", (4, 19), NEXT),
];

/// Structures that a kernel of the right release may yet be built without.
const CONFIGURED: &[&str] = &[
    "MetadataLayout",
    // CONFIG_DEBUG_KMEMLEAK
    "KmemleakLayout",
    "KmemleakObjectLayout",
    // CONFIG_MEM_ALLOC_PROFILING
    "AllocTagLayout",
    "AllocCountersLayout",
    "CodetagTypeLayout",
    "CodetagModuleLayout",
    // CONFIG_ZSWAP and CONFIG_ZSMALLOC
    "PoolLayout",
    "ZsPoolLayout",
    // CONFIG_PAGE_POOL
    "PagePoolLayout",
    "PoolReleaseLayout",
    "NetmemLayout",
    // CONFIG_STACKDEPOT
    "StackHandleLayout",
    "StackRecordLayout",
    // CONFIG_MPTCP
    "MptcpLayout",
    // CONFIG_SLUB_DEBUG
    "TrackLayout",
    // CONFIG_PAGE_EXTENSION and CONFIG_PAGE_OWNER
    "PageExtLayout",
    "OperationsLayout",
    "PageOwnerLayout",
    "StackListLayout",
    // CONFIG_SLAB
    "ClassicCacheLayout",
    "ClassicNodeLayout",
    "ArrayCacheLayout",
    "AlienCacheLayout",
    "ClassicSlabLayout",
];

struct Kernel {
    name: String,
    release: Release,
    profile: Arc<Profile>,
    types: TypeDb,
}

impl Kernel {
    fn open(path: &Path) -> Self {
        let profile = Profile::open(path).unwrap_or_else(|error| panic!("{error}"));
        let profile = Arc::new(profile);
        let name = profile.identity().release.clone().expect("a release");
        let file = path.file_stem().expect("a name").to_string_lossy();
        assert_eq!(file, name, "files are named after their kernel");
        let mut numbers = name.split(['.', '-']).map(str::parse);
        let mut number = || numbers.next().expect("numbers").expect("a number");
        Self {
            release: (number(), number()),
            types: TypeDb::new(vec![Box::new(Arc::clone(&profile))]),
            profile,
            name,
        }
    }

    /// Whether the types of connection tracking are in the profile: as a module it has none of
    /// its own before 5.11, and not all packages with an image have modules.
    fn has_conntrack(&self) -> bool {
        self.profile.identity().modules.contains_key("nf_conntrack")
    }

    fn is_in(&self, since: Release, gone: Release) -> bool {
        (since..gone).contains(&self.release)
    }
}

/// Whether a unit is of a module that filters packets.
fn is_filter(home: &str) -> bool {
    let of_module = [
        "net/netfilter/",
        "net/ipv4/netfilter/",
        "net/ipv6/netfilter/",
        "net/bridge/netfilter/",
    ];
    let name = of_module
        .iter()
        .find_map(|folder| home.strip_prefix(folder));
    name.is_some_and(|name| {
        let kinds = ["nft_", "nf_tables", "x_tables", "ipset/", "ebtables"];
        kinds.iter().any(|kind| name.starts_with(kind))
    })
}

fn kernels() -> Vec<Kernel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/profiles");
    let entries = std::fs::read_dir(folder).expect("corpora/profiles");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("one").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "profile"));
    paths.sort();
    let kernels: Vec<_> = paths.iter().map(|path| Kernel::open(path)).collect();
    for wanted in [
        (5, 10),
        (5, 15),
        (6, 1),
        (6, 8),
        (6, 12),
        (6, 18),
        (7, 0),
        (7, 2),
    ] {
        let found = kernels.iter().any(|kernel| kernel.release == wanted);
        assert!(found, "no kernel {wanted:?} in the matrix");
    }
    kernels
}

#[test]
fn every_layout_resolves_or_is_refused_by_name() {
    let mut wrong = Vec::new();
    for kernel in kernels() {
        for layout in Registered::all() {
            let what = format!("{}: {}", kernel.name, layout.layout);
            let is_it = |row: &&(&str, _, _)| row.0 == layout.layout || row.0 == layout.structure;
            let row = STRUCTURES.iter().find(is_it);
            let wanted = row.is_none_or(|row| kernel.is_in(row.1, row.2));
            let of_module = layout
                .homes
                .iter()
                .all(|home| home.starts_with("net/netfilter/"));
            // Modules that filter are not in the matrix.
            let of_filter = layout.homes.iter().all(|home| is_filter(home));
            // Nor are those that queue.
            let of_queue = layout
                .homes
                .iter()
                .all(|home| home.starts_with("net/sched/sch_"));
            let may_lack = CONFIGURED.contains(&layout.layout)
                || of_filter
                || of_queue
                || of_module && !kernel.has_conntrack();
            match (layout.resolve)(&kernel.types) {
                Ok(_) if wanted => {}
                Ok(_) => wrong.push(format!("{what}: this release has none")),
                Err(error @ (LayoutError::NoStruct(_) | LayoutError::NoMember { .. })) => {
                    if wanted && !may_lack {
                        wrong.push(format!("{what}: {error}"));
                    }
                    let name = format!("struct {}", layout.structure);
                    assert!(error.to_string().contains(&name), "{what}: {error}");
                }
                Err(error) => wrong.push(format!("{what}: {error}; run scripts/make-profiles")),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn members_are_those_of_the_release() {
    let (mut compared, mut wrong) = (0, Vec::new());
    for kernel in kernels() {
        for (name, member, since, gone) in MEMBERS.iter().copied() {
            // Layouts of several subsystems may have one name.
            let resolved = Registered::all()
                .filter(|layout| layout.layout == name)
                .filter_map(|layout| (layout.resolve)(&kernel.types).ok());
            let found = resolved
                .filter_map(|info| {
                    let found = info.members.iter().find(|found| found.name == member)?;
                    Some((found.clone(), info.size))
                })
                .next();
            let Some((found, struct_size)) = found else {
                continue;
            };
            let what = format!("{}: {name}.{member}", kernel.name);
            if found.offset.is_some() != kernel.is_in(since, gone) {
                wrong.push(format!("{what}: {:?}", found.offset));
            }
            if let (Some(offset), Some(size)) = (found.offset, found.size) {
                assert!(offset + size <= struct_size, "{what}: beyond its structure");
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 300, "{compared}");
}

#[test]
fn the_era_is_that_of_the_release() {
    for kernel in kernels() {
        let symbols = kernel.profile.symbols();
        let has = |name: &str| {
            symbols
                .as_ref()
                .is_some_and(|all| all.address(name).is_some())
        };
        let era = SlabEra::of(&kernel.types, has).expect("the types are not damaged");
        let wanted = match kernel.release {
            (7, 0) => SlabEra::SlubSheaves,
            (7.., _) => SlabEra::SlubPerNode,
            (6, 18..) => SlabEra::SlubSheavesAndCpuSlabs,
            _ => SlabEra::SlubCpuSlabs,
        };
        assert_eq!(era, wanted, "{}", kernel.name);
    }
}

/// No distributor of these kernels puts later structures into them: what is recognised is of the
/// kernel's own release.
#[test]
fn shapes_are_those_of_the_release() {
    for kernel in kernels() {
        let symbols = kernel.profile.symbols();
        let has = |name: &str| {
            let all = symbols.as_ref();
            all.is_some_and(|all| all.address(name).is_some())
        };
        let found = shapes::of(&kernel.types, has).expect("the types are not damaged");
        // Some packages bring no symbols, some profiles not all of a cgroup.
        let fewest = if symbols.is_some() { 5 } else { 4 };
        assert!(found.len() >= fewest, "{}: {found:#?}", kernel.name);
        for shape in &found {
            let since = shape.since.unwrap_or(FIRST);
            let until = shape.until.unwrap_or(NEXT);
            let fits = (since..=until).contains(&kernel.release);
            assert!(fits, "{}: {shape:?}", kernel.name);
        }
        assert!(
            matches!(Era::of(&found), Era::Upstream { .. }),
            "{}",
            kernel.name
        );
    }
}

#[test]
fn enumerations_are_those_of_the_release() {
    for kernel in kernels() {
        let find = |name, home| kernel.types.enumeration(name, home).expect("it was asked");
        // Commit cc61eb851cbe; before, the flags are macros.
        let flags = find("_slab_flag_bits", "mm/slub.c");
        assert_eq!(flags.is_some(), kernel.release >= (6, 9), "{}", kernel.name);
        let pages = find("pageflags", "mm/slub.c").expect("every kernel has page flags");
        let bit = |name| {
            pages
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, bit)| *bit)
        };
        assert_eq!(bit("PG_locked"), Some(0), "{}", kernel.name);
        assert!(
            bit("PG_head").is_some_and(|bit| bit < 32),
            "{}",
            kernel.name
        );
        if kernel.has_conntrack() {
            let ids = find("nf_ct_ext_id", "net/netfilter/nf_conntrack_core.c");
            let ids = ids.expect("conntrack has extensions");
            assert_eq!(
                ids[0],
                ("NF_CT_EXT_HELPER".to_owned(), 0),
                "{}",
                kernel.name
            );
        }
    }
}
