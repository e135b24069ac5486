//! Places in words: names for addresses, stacks for handles, seconds for jiffies.

use serde::Serialize;

use super::machine::Machine;
use super::sites::{Counts, Sites};
use super::{Stack, Table};
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::stack_depot::StackDepot;
use crate::kernel::symbolize::Symbolized;

/// How long ago objects were allocated or freed, as the kernel has it: in jiffies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Ages {
    /// The youngest.
    pub min_jiffies: u64,
    /// The mean.
    pub mean_jiffies: u64,
    /// The oldest.
    pub max_jiffies: u64,
    /// The youngest, in seconds.
    pub min_seconds: f64,
    /// The mean, in seconds.
    pub mean_seconds: f64,
    /// The oldest, in seconds.
    pub max_seconds: f64,
    /// Whether all have the same, so that the kernel prints one.
    #[serde(skip)]
    pub single: bool,
}

/// One place that allocates or frees objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Site {
    /// How many objects.
    pub objects: u64,
    /// The place as the kernel names it; `None` if no track was ever written.
    pub caller: Option<String>,
    /// The module on whose behalf: the innermost one on the stack; `None` if it is all the
    /// kernel's own.
    pub module: Option<String>,
    /// Bytes of each object that nobody asked for; 0 where the kernel does not record it.
    pub waste: u32,
    /// How long ago; `None` if no track was ever written.
    pub age: Ages,
    /// The lowest and the highest process ID.
    pub pids: (i32, i32),
    /// CPUs.
    pub cpus: Vec<u32>,
    /// NUMA nodes that the objects lie in, if there are several.
    pub nodes: Vec<u32>,
    /// Return addresses in words, innermost first.
    pub stack: Vec<String>,
}

/// Functions that allocate for whoever calls them: a compiler that does not inline them makes
/// them the caller that the kernel records.
const HELPERS: [&str; 12] = [
    "kmalloc",
    "kzalloc",
    "kcalloc",
    "kvmalloc",
    "kvzalloc",
    "kvcalloc",
    "krealloc",
    "kmemdup",
    "kstrdup",
    "kasprintf",
    "kvasprintf",
    "kmem_cache_alloc",
];

fn is_helper(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    HELPERS.iter().any(|helper| name.starts_with(helper))
}

impl Site {
    /// Who wanted the objects: the caller, or where that is only a helper the first on the stack
    /// that is none.
    pub fn place(&self) -> Option<&str> {
        let caller = self.caller.as_deref()?;
        if !is_helper(caller) {
            return Some(caller);
        }
        let behind = self.stack.iter().skip_while(|frame| *frame != caller);
        let mut behind = behind.map(String::as_str).filter(|frame| !is_helper(frame));
        behind.next().or(Some(caller))
    }
}

/// Places, the one with most objects first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SiteFacts {
    /// The places, as many as were asked for.
    pub sites: Vec<Site>,
    /// How many there are.
    pub count: u64,
    /// Objects whose track the dump lacks.
    pub lost: u64,
    /// Stacks that the depot does not give.
    pub lost_stacks: u64,
    /// Places put together as the kernel prints them, where it prints no stacks.
    #[serde(skip)]
    pub printed: Option<Vec<Site>>,
    /// Whether the machine had several CPUs, so that the kernel names them.
    #[serde(skip)]
    pub name_cpus: bool,
}

impl SiteFacts {
    /// Warns of what the dump lacks of a cache's tracks.
    pub fn warn(&self, kernel: &Kernel, cache: &str) {
        let missing = [(self.lost, "tracks"), (self.lost_stacks, "stack traces")];
        for (count, what) in missing.into_iter().filter(|(count, _)| *count > 0) {
            kernel.diag.warn_many(
                "tracks-lost",
                format!("{what} of {cache} can't be read, so some of its objects have no owner: was the dump cut short, or kernel memory overwritten?"),
                count,
            );
        }
    }
}

/// All about naming.
struct Names<'a> {
    machine: &'a Machine,
    depot: Option<&'a StackDepot<'a>>,
    name: &'a dyn Fn(VirtAddr) -> Option<Symbolized>,
    lost_stacks: u64,
}

pub(super) fn describe(
    sites: Sites,
    limit: usize,
    machine: &Machine,
    depot: Option<&StackDepot<'_>>,
    name: &dyn Fn(VirtAddr) -> Option<Symbolized>,
) -> SiteFacts {
    let mut names = Names {
        machine,
        depot,
        name,
        lost_stacks: 0,
    };
    let mut facts = SiteFacts {
        count: sites.table.len() as u64,
        lost: sites.lost,
        name_cpus: machine.several_cpus,
        sites: names.all(&sites.table, limit),
        ..SiteFacts::default()
    };
    if !sites.by_stack {
        facts.printed = Some(names.all(&sites.by_address(), usize::MAX));
    }
    facts.lost_stacks = names.lost_stacks;
    facts
}

impl Names<'_> {
    fn all(&mut self, table: &Table, limit: usize) -> Vec<Site> {
        let mut sorted: Vec<_> = table.iter().collect();
        // The kernel's own sort leaves the order of equal counts to chance.
        sorted.sort_by(|(key, counts), (other, others)| {
            let order = others.objects.cmp(&counts.objects);
            order.then_with(|| key.cmp(other))
        });
        let sorted = sorted.into_iter().take(limit);
        sorted
            .map(|((addr, stack, waste), counts)| self.site(*addr, stack, *waste, counts))
            .collect()
    }

    fn site(&mut self, addr: u64, stack: &Stack, waste: u32, counts: &Counts) -> Site {
        let frames = self.frames(stack);
        let named = |address: &u64| (self.name)(VirtAddr(*address));
        let print = |address: &u64| {
            let found = named(address);
            found.map_or_else(|| format!("{address:#x}"), |found| found.to_string())
        };
        let addresses = [addr].into_iter().chain(frames.iter().copied());
        let module = addresses
            .filter_map(|address| named(&address))
            .find_map(|at| at.module);
        Site {
            objects: counts.objects,
            caller: (addr != 0).then(|| print(&addr)),
            module,
            waste,
            age: self.ages(counts),
            pids: counts.pids,
            cpus: counts.cpus.iter().copied().collect(),
            nodes: counts.nodes.iter().copied().collect(),
            stack: frames.iter().map(print).collect(),
        }
    }

    fn frames(&mut self, stack: &Stack) -> Vec<u64> {
        if stack.handle == 0 {
            return stack.frames.clone();
        }
        match self.depot.map(|depot| depot.fetch(stack.handle)) {
            Some(Ok(frames)) => frames,
            Some(Err(_)) | None => {
                self.lost_stacks += 1;
                Vec::new()
            }
        }
    }

    fn ages(&self, counts: &Counts) -> Ages {
        let mean = counts.sum / counts.objects.max(1);
        let seconds = |jiffies: u64| {
            let seconds = jiffies as f64 / self.machine.clock.hz.max(1) as f64;
            (seconds * 1000.0).round() / 1000.0
        };
        Ages {
            min_jiffies: counts.min,
            mean_jiffies: mean,
            max_jiffies: counts.max,
            min_seconds: seconds(counts.min),
            mean_seconds: seconds(mean),
            max_seconds: seconds(counts.max),
            single: counts.sum == counts.min,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(caller: &str, stack: &[&str]) -> Site {
        Site {
            caller: Some(caller.to_owned()),
            stack: stack.iter().map(|frame| (*frame).to_owned()).collect(),
            ..Site::default()
        }
    }

    #[test]
    fn who_wanted_an_object_is_no_helper() {
        let helper = "_kzalloc_noprof.constprop.0+0x1a/0x1c [m]";
        let stack = [
            "__kmalloc_cache_noprof+0x1/0x2",
            helper,
            "probe+0x4/0x9 [m]",
            "init+0x1/0x2",
        ];
        assert_eq!(site(helper, &stack).place(), Some("probe+0x4/0x9 [m]"));
        assert_eq!(site("init+0x1/0x2", &stack).place(), Some("init+0x1/0x2"));
        // No stack, or nothing but helpers: better the helper than nobody.
        assert_eq!(site(helper, &[]).place(), Some(helper));
        assert_eq!(site(helper, &[helper]).place(), Some(helper));
        assert_eq!(Site::default().place(), None);
    }
}
