//! Counters as kernels up to 5.1 keep them, which no dump here has: the sums of memory.stat by the
//! kernel's source (mm/memcontrol.c, accumulate_memcg_tree).

use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::*;
use crate::kernel::synthetic;

const COMMON: &str = "
enum memcg_stat_item 4 {
    MEMCG_CACHE 40
    MEMCG_RSS 41
}
struct cgroup_subsys_state 64 {
    0 struct cgroup * cgroup
    8 struct list_head sibling
    24 struct list_head children
    40 unsigned int flags
}
struct cgroup 16 {
    0 struct kernfs_node * kn
    8 int nr_dying_descendants
}
struct mem_cgroup_id 4 {
    0 int id
}
struct atomic_count 8 {
    0 unsigned long counter
}
struct mem_cgroup_stat_cpu 384 {
    0 unsigned long [48] count
}
struct mem_cgroup_per_node 8 {
    0 unsigned long usage
}
";

/// 4.16 to 5.1, and RHEL 8.0 to 8.2.
const ARRAY: &str = "
struct page_counter 16 {
    0 struct atomic_count usage
    8 unsigned long max
}
struct mem_cgroup 640 {
    0 struct cgroup_subsys_state css
    64 struct mem_cgroup_id id
    72 struct page_counter memory
    88 struct mem_cgroup_stat_cpu * stat_cpu
    96 unsigned long [48] stat
    480 struct mem_cgroup_per_node * [1] nodeinfo
}
";

/// 4.12 to 4.15.
const ON_CPUS: &str = "
struct page_counter 16 {
    0 struct atomic_count count
    8 unsigned long limit
}
struct mem_cgroup 640 {
    0 struct cgroup_subsys_state css
    64 struct mem_cgroup_id id
    72 struct page_counter memory
    88 struct mem_cgroup_stat_cpu * stat
    96 struct mem_cgroup_per_node * [1] nodeinfo
}
";

/// Pages of the page cache that a cgroup itself has handed over, and each of two CPUs has.
const FILE: [(&str, u64, [i64; 2]); 3] = [
    ("", 100, [0, 0]),
    ("alive", 10, [2, 0]),
    ("gone", 3, [0, -1]),
];

/// Three cgroups, each below the one before; the last was removed. The root's address.
fn lay(m: &mut Machine, array: bool) -> u64 {
    let offsets = m.kernel.symbol("__per_cpu_offset");
    let areas = m.kernel.alloc(3 * 4096, 4096);
    for cpu in 0..3 {
        m.kernel.write_u64(offsets + cpu * 8, areas + cpu * 4096);
    }
    let memcgs: Vec<u64> = FILE.iter().map(|_| m.kernel.alloc(640, 64)).collect();
    let mut parent = 0;
    for (index, (name, handed_over, on_cpus)) in FILE.iter().enumerate() {
        let at = memcgs[index];
        let (node, cgroup) = (m.kernel.alloc(128, 8), m.kernel.alloc(16, 8));
        let name = m.kernel.alloc_string(name);
        m.kernel.set(node, "kernfs_node", "parent", parent);
        m.kernel.set(node, "kernfs_node", "name", name);
        parent = node;
        m.kernel.write_u64(cgroup, node);
        m.kernel.write_u64(at, cgroup);
        // Lists of one: the children of each are the next.
        let (sibling, children) = (at + 8, at + 24);
        m.kernel.write_u64(children, children);
        if index > 0 {
            let above = memcgs[index - 1] + 24;
            m.kernel.write_u64(above, sibling);
            m.kernel.write_u64(sibling, above);
        }
        let online = if index < 2 { 2 } else { 0 };
        m.kernel.write(at + 40, &[online, 0, 0, 0]);
        m.kernel.write(at + 64, &[index as u8 + 1, 0, 0, 0]);
        m.kernel.write_u64(at + 72, 1000 + index as u64);
        m.kernel.write_u64(at + 80, i64::MAX as u64 / 4096);
        let percpu = 64 + index as u64 * 512;
        m.kernel.write_u64(at + 88, percpu);
        for (cpu, pages) in (0u64..).zip(on_cpus) {
            let extra = if array || cpu > 0 {
                0
            } else {
                *handed_over as i64
            };
            let count = areas + cpu * 4096 + percpu + 40 * 8;
            m.kernel.write_u64(count, (pages + extra).cast_unsigned());
        }
        if array {
            m.kernel.write_u64(at + 96 + 40 * 8, *handed_over);
        }
    }
    memcgs[0]
}

#[test]
fn counters_of_each_cgroup_alone_are_summed_up() {
    for (shape, array) in [(ARRAY, true), (ON_CPUS, false)] {
        let mut m = Machine::build(Era::V4_18, PagingLevels::Four, &Scenario::standard());
        m.kernel.vmlinux_types.parse(COMMON);
        m.kernel.vmlinux_types.parse(shape);
        let root = lay(&mut m, array);
        let pointer = m.kernel.alloc(8, 8);
        m.kernel.write_u64(pointer, root);
        let kernel = synthetic::kernel_with(&m, &[("root_mem_cgroup", pointer)]);
        let facts = collect(&kernel).expect("cgroups");
        assert!(facts.complete, "{:?}", kernel.diag);
        let found: Vec<_> = facts
            .memcgs
            .iter()
            .map(|memcg| {
                let path = memcg.path.as_deref().unwrap_or("?");
                let pages = memcg.stat("file").expect("a sum") / 4096;
                (path, memcg.dying, memcg.current / 4096, pages)
            })
            .collect();
        let wanted = [
            ("/", false, 1000, 114),
            ("/alive", false, 1001, 14),
            ("/alive/gone", true, 1002, 2),
        ];
        assert_eq!(found, wanted, "an array: {array}");
        // What the kernel's own sums lacked.
        let unflushed = |index: usize| {
            let rest = facts.memcgs[index].unflushed.as_ref().expect("known");
            rest.get("file").copied().unwrap_or(0) / 4096
        };
        let wanted = if array { [1, 1, -1] } else { [0, 0, 0] };
        assert_eq!([0, 1, 2].map(unflushed), wanted, "an array: {array}");
    }
}
