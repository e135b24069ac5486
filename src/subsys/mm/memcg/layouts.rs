//! What is read of memory cgroups, the cgroups they belong to, and their names.

use crate::kernel::layout::layout;

layout! {
    /// include/linux/memcontrol.h
    pub(super) struct MemcgLayout = "mem_cgroup" in "mm/memcontrol.c" {
        /// In it up to 4.7, and in RHEL 7.
        need id = "id.id" | "id",
        need css = "css",
        need cgroup = "css.cgroup",
        /// 3.12 and later; before, cgroups are linked, and not what they control.
        maybe sibling = "css.sibling",
        maybe children = "css.children",
        need css_flags = "css.flags",
        /// `count` and `limit` up to 4.17.
        need usage = "memory.usage.counter" | "memory.count.counter",
        need max = "memory.max" | "memory.limit",
        need memory = "memory",
        /// The counter above it.
        need parent = "memory.parent",
        maybe swap = "swap.usage.counter" | "swap.count.counter",
        /// Charged with cgroup v1 only; up to 6.10, later with CONFIG_MEMCG_V1.
        maybe kmem = "kmem.usage.counter" | "kmem.count.counter",
        /// 5.2 and later (commit 42a300353577): an array of counters up to 5.12, then a structure; a
        /// pointer to it since 6.1.
        maybe vmstats = "vmstats",
        /// Up to 5.1: an array since 4.16 (commit a983b5ebee57), before what each CPU has.
        maybe stat = "stat",
        /// 5.13 (commit 2d146aa3aa84) to 6.0.
        maybe state = "vmstats.state",
        maybe pending = "vmstats.state_pending",
        /// `stat_cpu` from 4.16 to 5.1.
        maybe percpu = "vmstats_percpu" | "stat_cpu",
        /// 5.9 (commit bf4f059954dc) to 7.0, later in the nodes.
        maybe objcg = "objcg",
        maybe objcg_list = "objcg_list",
        need nodes = "nodeinfo" | "info",
        /// Up to 3.18: what CPUs that went had counted.
        maybe nocpu = "nocpu_base",
    }
}

layout! {
    /// mm/memcontrol.c; in include/linux/memcontrol.h up to 6.0.
    pub(super) struct MemcgStatsLayout = "memcg_vmstats" in "mm/memcontrol.c" {
        need state = "state",
        need pending = "state_pending",
    }
}

layout! {
    /// mm/memcontrol.c; in include/linux/memcontrol.h up to 6.0.
    pub(super) struct MemcgCpuStatsLayout = "memcg_vmstats_percpu" in "mm/memcontrol.c" {
        /// `stat` up to 5.12.
        need state = "state" | "stat",
        /// Since 5.13; before, what was handed over was taken away.
        maybe previous = "state_prev",
    }
}

layout! {
    /// include/linux/memcontrol.h, up to 5.1.
    pub(super) struct MemcgCpuCountLayout = "mem_cgroup_stat_cpu" in "mm/memcontrol.c" {
        need state = "count",
    }
}

layout! {
    /// include/linux/memcontrol.h
    pub(super) struct MemcgNodeLayout = "mem_cgroup_per_node" in "mm/memcontrol.c" {
        /// 7.1 and later.
        maybe objcg = "objcg",
        maybe objcg_list = "objcg_list",
    }
}

layout! {
    /// include/linux/memcontrol.h, 5.9 and later (commit bf4f059954dc).
    pub(super) struct ObjcgLayout = "obj_cgroup" in "mm/memcontrol.c" {
        need memcg = "memcg",
        need charged = "nr_charged_bytes.counter",
        need list = "list",
    }
}

layout! {
    /// include/linux/cgroup-defs.h
    pub(super) struct CgroupLayout = "cgroup" in "kernel/cgroup/cgroup.c" | "kernel/cgroup.c" {
        /// 3.15 and later (commit 2bd59d48ebfb).
        maybe node = "kn",
        /// Before, a copy of its directory's.
        maybe name = "name",
        maybe parent = "parent",
        /// 4.14 and later.
        maybe dying = "nr_dying_descendants",
        /// Of its hierarchy.
        maybe root = "root",
    }
}

layout! {
    /// include/linux/cgroup.h, up to 3.14.
    pub(super) struct CgroupNameLayout = "cgroup_name" in "kernel/cgroup.c" {
        need name = "name",
    }
}

layout! {
    /// include/linux/cgroup.h, up to 3.11: who is below whom.
    pub(super) struct CgroupTreeLayout = "cgroup" in "kernel/cgroup.c" {
        need sibling = "sibling",
        need children = "children",
        need subsys = "subsys",
    }
}

layout! {
    /// include/linux/kernfs.h
    pub(super) struct KernfsLayout = "kernfs_node" in "fs/kernfs/dir.c" {
        need name = "name",
        /// `parent` up to 6.14.
        need parent = "__parent" | "parent",
        /// With a generation above it since 4.14; a number of its own since 5.5 (commit
        /// 67c0496e87d1).
        maybe id = "id" | "ino",
    }
}

layout! {
    /// include/linux/cgroup-defs.h: the cgroups of a task, one of each hierarchy.
    pub(super) struct CssSetLayout = "css_set" in "kernel/cgroup/cgroup.c" | "kernel/cgroup.c" {
        need subsys = "subsys",
        /// That of the unified hierarchy.
        maybe unified = "dfl_cgrp",
    }
}

layout! {
    /// include/linux/cgroup-defs.h
    pub(super) struct CssLayout = "cgroup_subsys_state" in "kernel/cgroup/cgroup.c" | "kernel/cgroup.c" {
        need cgroup = "cgroup",
    }
}
