//! What can't be had of this kernel, and why: what it was built or booted without.
//!
//! Told by the symbol that comes with it, as each command tells it; nothing is read for it.

use serde::Serialize;

use crate::kernel::Kernel;
use crate::kernel::modules::{self, Modules};

/// A command that has nothing to say of this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cannot {
    /// As it is called, with its option.
    pub command: &'static str,
    /// What the kernel lacks.
    pub reason: &'static str,
}

const NO_TRACKING: &str = "connection tracking was not loaded";

/// Where symbols of modules are not known, nothing is said of what may be one.
pub fn cannot(kernel: &Kernel, modules: Option<&Modules>) -> Vec<Cannot> {
    let lacks = |name: &str| kernel.symbol(name).is_none();
    // Of a list that is cut short nobody knows what was loaded.
    let modules =
        modules.filter(|all| all.end().is_complete() && all.find("nf_conntrack").is_none());
    let unloaded =
        |name: &str| modules.is_some_and(|all| modules::resolve(kernel, all, name).is_none());
    let rows = [
        (unloaded("nf_conntrack_hash"), "conntrack", NO_TRACKING),
        (unloaded("nf_conntrack_hash"), "nat", NO_TRACKING),
        (
            lacks("root_mem_cgroup"),
            "memcg",
            "built without CONFIG_MEMCG",
        ),
        (
            lacks("kmemleak_enabled"),
            "kmemleak",
            "built without CONFIG_DEBUG_KMEMLEAK",
        ),
        (
            lacks("alloc_tag_cttype"),
            "allocinfo",
            "built without CONFIG_MEM_ALLOC_PROFILING, which came with 6.10",
        ),
        (
            lacks("page_owner_inited"),
            "pageowner",
            "built without CONFIG_PAGE_OWNER",
        ),
    ];
    let rows = rows.into_iter().filter(|row| row.0);
    rows.map(|(_, command, reason)| Cannot { command, reason })
        .collect()
}
