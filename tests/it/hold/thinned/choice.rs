//! Which pages are left out: some at random, those of some kind, those of one variable.

use std::collections::BTreeSet;
use std::fmt;

use vmleak::addr::{Pfn, VirtAddr};
use vmleak::kernel::Kernel;
use vmleak::kernel::asked::SYMBOLS;

use super::kdump::Whole;
use crate::modules::open;
use crate::support::{RealDump, run};

/// Caches whose slabs are left out by name.
const CACHES: [&str; 6] = [
    "kmem_cache",
    "kmem_cache_node",
    "dentry",
    "kmalloc-1k",
    "task_struct",
    "kmalloc-256",
];
/// How many pages are left out at random, in turn.
const AT_RANDOM: [usize; 4] = [1, 10, 100, 1000];

/// Pages to leave out.
pub(super) struct Choice {
    what: String,
    pub(super) pages: BTreeSet<u64>,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.pages.iter().next().copied().unwrap_or_default();
        let count = self.pages.len();
        write!(f, "{} ({count} pages, the first {first:#x})", self.what)
    }
}

/// What can be chosen of a dump.
pub(super) struct Choices {
    variables: Vec<(String, u64)>,
    kinds: Vec<(String, Vec<u64>)>,
}

/// splitmix64: the same choices on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % bound as u64) as usize
    }

    /// Some of `pages`.
    fn some(&mut self, pages: &[u64], count: usize) -> BTreeSet<u64> {
        let mut some = BTreeSet::new();
        while some.len() < count.min(pages.len()) {
            some.insert(pages[self.below(pages.len())]);
        }
        some
    }
}

fn page_of(kernel: &Kernel, at: VirtAddr) -> Option<u64> {
    let mapping = kernel.space.translate(at).ok()?;
    Some(Pfn::containing(mapping.phys, kernel.dump().page_shift()).0)
}

fn pages_of_cache(kernel: &Kernel, dump: &RealDump, cache: &str) -> Vec<u64> {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("a path"));
    let (_, addresses, _) = run(&["objects", cache, files[0], files[1], "--format", "addrs"]);
    let at = |line: &str| {
        let digits = line.trim().trim_start_matches("0x");
        let address = u64::from_str_radix(digits, 16).ok()?;
        page_of(kernel, VirtAddr(address))
    };
    let pages: BTreeSet<u64> = addresses.lines().filter_map(at).collect();
    pages.into_iter().collect()
}

impl Choices {
    pub(super) fn of(dump: &RealDump) -> Self {
        let (kernel, _) = open(dump);
        let variable = |name: &&str| {
            let at = kernel.symbol(name)?;
            Some(((*name).to_owned(), page_of(&kernel, at)?))
        };
        let mut kinds: Vec<(String, Vec<u64>)> = Vec::new();
        for cache in CACHES {
            let pages = pages_of_cache(&kernel, dump, cache);
            kinds.push((format!("slabs of {cache}"), pages));
        }
        let data = [kernel.symbol("_sdata"), kernel.symbol("_edata")];
        if let [Some(start), Some(end)] = data {
            let page = kernel.dump().page_size();
            let pages = (start.0..end.0).step_by(page);
            let pages = pages.filter_map(|at| page_of(&kernel, VirtAddr(at)));
            kinds.push(("data of the kernel".into(), pages.collect()));
        }
        if let Some(offsets) = kernel.symbol("__per_cpu_offset") {
            let page = kernel.dump().page_size() as u64;
            let first = kernel.space.read_ptr(offsets).unwrap_or_default();
            let start = kernel.symbol("__per_cpu_start").unwrap_or_default();
            let pages = (0..64).filter_map(|n| page_of(&kernel, first.plus(start.0 + n * page)));
            kinds.push(("per-CPU data".into(), pages.collect()));
        }
        kinds.retain(|(_, pages)| !pages.is_empty());
        let variables = SYMBOLS.iter().filter_map(variable);
        Self {
            variables: variables.collect(),
            kinds,
        }
    }

    /// `count` of them: half at random, of the rest half by kind and half by variable. Where more
    /// are asked for than there are variables, each is left out once.
    pub(super) fn take(&self, whole: &Whole, count: usize) -> Vec<Choice> {
        let mut random = Random(0x766d_6c65_616b);
        let mut chosen = Vec::new();
        let variables = (count / 4).min(self.variables.len());
        let by_kind = count / 4;
        for index in 0..variables {
            let spread = index * self.variables.len() / variables;
            let (name, page) = &self.variables[spread];
            chosen.push(Choice {
                what: format!("the page of {name}"),
                pages: BTreeSet::from([*page]),
            });
        }
        for index in 0..by_kind {
            let (kind, pages) = &self.kinds[index % self.kinds.len()];
            let some = 1 + random.below(4);
            chosen.push(Choice {
                what: kind.clone(),
                pages: random.some(pages, some),
            });
        }
        for index in chosen.len()..count {
            chosen.push(Choice {
                what: format!("random choice {index}"),
                pages: random.some(&whole.pages, AT_RANDOM[index % AT_RANDOM.len()]),
            });
        }
        chosen
    }
}
