//! Pages of page pools (net/core/page_pool.c).

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Claims, Owner};
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::modules::Modules;
use crate::kernel::symbolize::Symbolizer;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::net::page_pools::{self, PagePoolFacts, Pool};

/// A pool, and who owns its pages.
#[derive(Clone, Debug)]
pub(crate) struct PoolClaim {
    /// The owner, by number; each pool has one of its own.
    pub(crate) owner: u32,
    pub(crate) facts: PagePoolFacts,
    /// What the owner is called.
    pub(crate) name: String,
    /// The module whose variable points to the pool, where no interface tells whose it is.
    pub(crate) module: Option<String>,
    /// Words of the pool that mean nothing any more.
    pub(crate) stale: Range<VirtAddr>,
}

/// What is no page of this machine (`netmem`, 6.10 and later).
const NET_IOV: u64 = 1;
/// Bytes read at a time.
const STEP: u64 = 1 << 16;

/// Those of each pool: what lies in its cache and its ring is held by it; of the others their own
/// structures say whose they are.
pub(super) fn claim(
    kernel: &Kernel,
    marked: Option<&[(Pfn, VirtAddr)]>,
    claims: &mut Claims,
) -> Result<(), KernelError> {
    let Some((pools, _)) = page_pools::known(kernel, marked)? else {
        return Ok(());
    };
    let nameless: Vec<VirtAddr> = pools
        .iter()
        .filter(|pool| named(&pool.facts).is_none())
        .map(|pool| pool.facts.address)
        .collect();
    let variables = variables(kernel, &nameless)?;
    let mut found = Vec::with_capacity(pools.len());
    for Pool {
        facts,
        pages,
        kept,
        stale,
    } in pools
    {
        let variable = variables.get(&facts.address);
        let name = named(&facts).or_else(|| variable.map(|(name, _)| name.clone()));
        let name = name.unwrap_or_default();
        let shown = match (facts.destroyed, name.is_empty()) {
            (false, _) => name.clone(),
            (true, false) => format!("{name}, destroyed"),
            (true, true) => "destroyed".to_owned(),
        };
        let owner = claims.owner(Owner::of_kernel("page_pool", shown));
        for page in kept.into_iter().filter(|page| page.0 & NET_IOV == 0) {
            claims.block(owner, page);
        }
        let pages = pages.into_iter().map(|pfn| (pfn, owner));
        claims.by_structure.extend(pages);
        found.push(PoolClaim {
            owner,
            module: variable.and_then(|(_, module)| module.clone()),
            facts,
            name,
            stale,
        });
    }
    claims.page_pools = Some(found);
    Ok(())
}

/// By what it was made for.
fn named(facts: &PagePoolFacts) -> Option<String> {
    let of_cpu = || facts.cpu.map(|cpu| format!("of CPU {cpu}"));
    let device = facts.device.clone().or_else(of_cpu);
    device.or_else(|| facts.parent.clone())
}

/// Variables of modules that point to one of `pools`, and whose they are.
fn variables(
    kernel: &Kernel,
    pools: &[VirtAddr],
) -> Result<BTreeMap<VirtAddr, (String, Option<String>)>, KernelError> {
    let mut found = BTreeMap::new();
    if pools.is_empty() {
        return Ok(found);
    }
    let modules = Modules::read(kernel)?;
    let symbols = Symbolizer::new(kernel, &modules);
    let space = kernel.space.quiet();
    let regions = modules.iter().flat_map(|module| &module.regions);
    for region in regions {
        for start in (0..region.size).step_by(STEP as usize) {
            let at = region.base.plus(start);
            let mut bytes = vec![0; STEP.min(region.size - start) as usize];
            // What is not there is all zeros.
            space.read_there(at, &mut bytes);
            let (words, _) = bytes.as_chunks::<8>();
            for (offset, word) in (0u64..).step_by(8).zip(words) {
                let word = VirtAddr(u64::from_le_bytes(*word));
                if !pools.contains(&word) {
                    continue;
                }
                if let Some(place) = symbols.find(at.plus(offset)) {
                    let module = place.module.clone();
                    found
                        .entry(word)
                        .or_insert_with(|| (place.symbol(), module));
                }
            }
        }
    }
    Ok(found)
}
