//! Which memory cgroups are below one.
//!
//! Since 3.12 what controls memory is linked itself, and stays so until it is gone. Before, and in
//! RHEL 7, the cgroups are linked, and one that is removed is freed: what is left of it (its `css`)
//! has a number still (`mem_cgroup_idr`), and a counter above its own.

use rustc_hash::FxHashMap;

use super::layouts::{CgroupTreeLayout, MemcgLayout};
use super::names::memory_id;
use super::{MAX_MEMCGS, ONLINE};
use crate::addr::VirtAddr;
use crate::kernel::layout::LayoutError;
use crate::kernel::walk::{self, idr};
use crate::kernel::{Kernel, KernelError};

/// Finds those below.
#[derive(Debug)]
pub(super) struct Below<'k> {
    kernel: &'k Kernel,
    links: Links,
    /// Removed ones by what is above them; empty where these are in the lists.
    removed: FxHashMap<VirtAddr, Vec<VirtAddr>>,
    /// Whether all removed ones were found.
    pub(super) complete: bool,
}

#[derive(Debug)]
enum Links {
    /// Offsets of children and sibling in what controls memory.
    Own(u64, u64),
    /// The cgroups', and the number of the controller.
    Cgroups(CgroupTreeLayout, u64),
}

impl<'k> Below<'k> {
    /// `root` is above all.
    pub(super) fn new(
        kernel: &'k Kernel,
        layout: &MemcgLayout,
        root: VirtAddr,
    ) -> Result<Self, KernelError> {
        if let (Some(children), Some(sibling)) = (layout.children, layout.sibling) {
            return Ok(Self {
                kernel,
                links: Links::Own(children.offset.into(), sibling.offset.into()),
                removed: FxHashMap::default(),
                complete: true,
            });
        }
        let unknown = KernelError::Layout(LayoutError::NoMember {
            structure: "cgroup_subsys_state",
            member: "children",
        });
        let id = memory_id(kernel)?.ok_or(unknown)?;
        let mut below = Self {
            kernel,
            links: Links::Cgroups(kernel.layout()?, id),
            removed: FxHashMap::default(),
            complete: true,
        };
        below.find_removed(layout, root)?;
        Ok(below)
    }

    fn find_removed(&mut self, layout: &MemcgLayout, root: VirtAddr) -> Result<(), KernelError> {
        let Some(at) = self.kernel.symbol("mem_cgroup_idr") else {
            return Ok(());
        };
        let numbered = idr::layered(self.kernel, at, MAX_MEMCGS)?;
        self.complete = numbered.end.is_complete();
        for (_, at) in numbered.value {
            let Ok(record) = self.kernel.space.read_bytes(at, layout.len) else {
                self.complete = false;
                continue;
            };
            if at == root || layout.css_flags.get(&record) & ONLINE != 0 {
                continue;
            }
            let above = match layout.parent.get(&record) {
                // By itself, without use_hierarchy.
                0 => root,
                counter => VirtAddr(counter).minus(u64::from(layout.memory.offset)),
            };
            self.removed.entry(above).or_default().push(at);
        }
        Ok(())
    }

    /// Those right below the one at `at`, whose bytes are `record`; and whether these are all.
    pub(super) fn of(
        &self,
        layout: &MemcgLayout,
        at: VirtAddr,
        record: &[u8],
    ) -> (Vec<VirtAddr>, bool) {
        let space = &self.kernel.space;
        match &self.links {
            Links::Own(children, sibling) => {
                let links = walk::list(space, at.plus(*children), MAX_MEMCGS as u64);
                let found = links.value.iter().map(|link| link.minus(*sibling));
                (found.collect(), links.end.is_complete())
            }
            Links::Cgroups(tree, id) => {
                let mut found = Vec::new();
                let mut whole = true;
                // A removed one has no cgroup, and nothing below it that is not removed.
                if layout.css_flags.get(record) & ONLINE != 0 {
                    let head = VirtAddr(layout.cgroup.get(record));
                    let head = head.plus(u64::from(tree.children.offset));
                    let links = walk::list(space, head, MAX_MEMCGS as u64);
                    whole = links.end.is_complete();
                    for link in links.value {
                        let cgroup = link.minus(u64::from(tree.sibling.offset));
                        match self.controller(tree, cgroup, *id) {
                            Some(css) => found.push(css.minus(u64::from(layout.css.offset))),
                            None => whole = false,
                        }
                    }
                }
                found.extend(self.removed.get(&at).into_iter().flatten());
                (found, whole)
            }
        }
    }

    /// What controls the memory of a cgroup.
    fn controller(&self, tree: &CgroupTreeLayout, cgroup: VirtAddr, id: u64) -> Option<VirtAddr> {
        if id >= u64::from(tree.subsys.size / 8) {
            return None;
        }
        let place = cgroup.plus(u64::from(tree.subsys.offset) + id * 8);
        let css = self.kernel.space.read_ptr(place).ok()?;
        (!css.is_null()).then_some(css)
    }
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::super::collect;
    use crate::kernel::synthetic;

    /// Of RHEL 7.9's kernel, without what is not read.
    const TYPES: &str = "enum cgroup_subsys_id 4 {
    mem_cgroup_subsys_id 3
}
enum mem_cgroup_stat_index 4 {
    MEM_CGROUP_STAT_CACHE 0
    MEM_CGROUP_STAT_RSS 1
    MEM_CGROUP_STAT_NSTATS 2
}
struct page_counter 40 {
    0 atomic_t count
    8 unsigned long limit
    16 struct page_counter * parent
}
struct cgroup_subsys_state 24 {
    0 struct cgroup * cgroup
    16 unsigned long flags
}
struct mem_cgroup_stat_cpu 32 {
    0 long [2] count
}
struct mem_cgroup 176 {
    0 struct cgroup_subsys_state css
    24 unsigned short id
    32 struct page_counter memory
    72 struct page_counter kmem
    112 struct mem_cgroup_stat_cpu * stat
    120 struct mem_cgroup_stat_cpu nocpu_base
    152 struct mem_cgroup_lru_info info
}
struct cgroup_name 16 {
    16 char [0] name
}
struct cgroup 168 {
    16 struct list_head sibling
    32 struct list_head children
    48 struct cgroup * parent
    56 struct cgroup_name * name
    64 struct cgroup_subsys_state * [13] subsys
}
struct css_set 16 {
    0 struct cgroup_subsys_state * [2] subsys
}
struct idr 40 {
    8 struct idr_layer * top
}
struct idr_layer 2112 {
    40 struct idr_layer * [256] ary
    2092 int layer
}";

    /// Where each CPU has what it counts: at the end of its area.
    const STAT: u64 = (96 << 10) - 64;

    struct Groups {
        machine: Machine,
        idr: Vec<(u64, u64)>,
    }

    impl Groups {
        /// A `struct mem_cgroup` of so many pages, below another by its counter.
        fn memcg(&mut self, id: u64, flags: u64, pages: u64, above: u64) -> u64 {
            let kernel = &mut self.machine.kernel;
            let at = kernel.alloc_struct("mem_cgroup");
            kernel.write_u64(at + 16, flags);
            kernel.write(at + 24, &(id as u16).to_le_bytes());
            kernel.write(at + 32, &(pages as u32).to_le_bytes());
            kernel.write_u64(at + 40, u64::MAX >> 13);
            kernel.write_u64(at + 48, if above == 0 { 0 } else { above + 32 });
            kernel.write_u64(at + 112, STAT);
            self.idr.push((id, at));
            at
        }

        /// The `struct cgroup` of one, with its name.
        fn cgroup(&mut self, memcg: u64, name: &str, parent: u64) -> u64 {
            let kernel = &mut self.machine.kernel;
            let at = kernel.alloc_struct("cgroup");
            let named = kernel.alloc(64, 8);
            kernel.write(named + 16, name.as_bytes());
            kernel.write_u64(at + 48, parent);
            kernel.write_u64(at + 56, named);
            kernel.write_u64(at + 88, memcg);
            kernel.write_u64(memcg, at);
            kernel.link_list(at + 32, &[]);
            at
        }
    }

    /// A cgroup, one in it, one in that; one that was removed from each but the last, of which the
    /// first counted for itself alone.
    #[test]
    fn cgroups_are_linked_and_removed_ones_have_numbers() {
        let era = Era::V3_10El7;
        let mut machine = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        machine.kernel.types.parse(TYPES);
        machine.kernel.vmlinux_types.parse(TYPES);
        let idr = Vec::new();
        let mut groups = Groups { machine, idr };
        const ONLINE: u64 = 3;
        let root = groups.memcg(1, ONLINE, 100, 0);
        let web = groups.memcg(2, ONLINE, 50, root);
        let php = groups.memcg(300, ONLINE, 20, web);
        let gone = groups.memcg(3, 0, 8, 0);
        let below = groups.memcg(5, 0, 9, web);
        let top = groups.cgroup(root, "/", 0);
        let web_cgroup = groups.cgroup(web, "web", top);
        let php_cgroup = groups.cgroup(php, "php", web_cgroup);
        let Groups { mut machine, idr } = groups;
        let kernel = &mut machine.kernel;
        kernel.link_list(top + 32, &[web_cgroup + 16]);
        kernel.link_list(web_cgroup + 32, &[php_cgroup + 16]);
        // What a removed one had is not its any more.
        for removed in [gone, below] {
            kernel.write_u64(removed, 0xdead_0000_0000_0000);
        }
        // Each of four CPUs has seven pages of files, and those that went left one.
        let offsets = kernel.symbol("__per_cpu_offset");
        for cpu in 0..4 {
            let area = kernel.read_u64(offsets + cpu * 8);
            kernel.write_u64(area.wrapping_add(STAT), 7);
        }
        kernel.write_u64(php + 120, 1);
        let layers = [
            kernel.alloc_struct("idr_layer"),
            kernel.alloc_struct("idr_layer"),
        ];
        for (id, at) in idr {
            kernel.write_u64(layers[(id >> 8) as usize] + 40 + (id & 255) * 8, at);
        }
        let top = kernel.alloc_struct("idr_layer");
        kernel.write(top + 2092, &1u32.to_le_bytes());
        kernel.write_u64(top + 40, layers[0]);
        kernel.write_u64(top + 48, layers[1]);
        let numbers = kernel.alloc_struct("idr");
        kernel.write_u64(numbers + 8, top);
        let variable = kernel.alloc(8, 8);
        kernel.write_u64(variable, root);
        let symbols = [("root_mem_cgroup", variable), ("mem_cgroup_idr", numbers)];
        let kernel = synthetic::kernel_with(&machine, &symbols);
        let facts = collect(&kernel).expect("cgroups");
        assert!(facts.complete, "{:?}", kernel.diag);
        let found: Vec<_> = facts
            .memcgs
            .iter()
            .map(|one| {
                (
                    one.path.as_deref(),
                    one.id,
                    one.depth,
                    one.dying,
                    one.current >> 12,
                )
            })
            .collect();
        let wanted = [
            (Some("/"), 1, 0, false, 100),
            (Some("/web"), 2, 1, false, 50),
            (Some("/web/php"), 300, 2, false, 20),
            (None, 5, 2, true, 9),
            (None, 3, 1, true, 8),
        ];
        assert_eq!(found, wanted);
        let files = |index: usize| facts.memcgs[index].stat("file").map(|bytes| bytes >> 12);
        assert_eq!(files(2), Some(4 * 7 + 1));
        // Of the two below it as well.
        assert_eq!(files(1), Some(3 * 28 + 1));
        let counted = super::super::count(&kernel).expect("cgroups");
        assert_eq!((counted.online, counted.dying), (3, 2));
        assert!(counted.complete);
    }
}
