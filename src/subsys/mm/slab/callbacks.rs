//! Objects among the callbacks that RCU has got (`rcu_data.cblist`, kernel/rcu/).
//!
//! Of two kinds of callbacks it is known what they free: the full sheaves that
//! `call_rcu(rcu_free_sheaf)` took over (mm/slub.c, 6.18 and later), and those of
//! kfree_rcu() in kernels that did not batch it (up to 5.3), whose function is the way to
//! the object. All others belong to the code that asked for them. Callbacks that were
//! being run at the crash stand on a stack, not here.

use super::kfree_rcu::{MAX_OFFSET, freed_object};
use super::layouts::{RcuDataLayout, RcuHeadLayout};
use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::{Kernel, KernelError, walk};

/// What RCU holds of the allocator.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallbackFacts {
    /// Starts of objects given to kfree_rcu().
    pub(crate) objects: Vec<VirtAddr>,
    /// Where the `rcu_head`s of sheaves lie, which is where these start.
    pub(crate) sheaves: Vec<VirtAddr>,
    /// Lists that are not followed to their end.
    pub(crate) broken: u64,
}

/// Reads the lists of all CPUs; `max_objects` bounds them.
///
/// # Errors
/// If there is no record of CPUs.
pub(crate) fn read(kernel: &Kernel, max_objects: u64) -> Result<CallbackFacts, KernelError> {
    let mut facts = CallbackFacts::default();
    let free_sheaf = kernel.symbol("rcu_free_sheaf");
    // kfree_rcu() has had lists of its own since 5.5.
    if free_sheaf.is_none() && kernel.symbol("krc").is_some() {
        return Ok(facts);
    }
    // One flavour of RCU since 4.20.
    let flavours = [
        "rcu_data",
        "rcu_sched_data",
        "rcu_preempt_data",
        "rcu_bh_data",
    ];
    let percpu: Vec<VirtAddr> = flavours
        .iter()
        .filter_map(|name| kernel.symbol(name))
        .collect();
    if percpu.is_empty() {
        return Ok(facts);
    }
    let layouts = kernel
        .layout()
        .and_then(|data| Ok((data, kernel.layout()?)));
    let (data, head): (RcuDataLayout, RcuHeadLayout) = match layouts {
        Ok(layouts) => layouts,
        Err(error) => {
            facts.broken += 1;
            kernel.diag.warn(
                "rcu-callbacks-unknown",
                format!("objects that RCU is to free count as allocated: {error}"),
            );
            return Ok(facts);
        }
    };
    let cpus = Cpus::read(kernel)?;
    let next = u64::from(head.next.offset);
    for at in percpu.iter().flat_map(|percpu| cpus.instances(*percpu)) {
        for list in [Some(data.cblist), data.bypass].into_iter().flatten() {
            let Ok(first) = kernel.space.read_ptr(at.1.plus(u64::from(list.offset))) else {
                facts.broken += 1;
                continue;
            };
            let callbacks = walk::chain(&kernel.space, first, next, max_objects);
            facts.broken += u64::from(!callbacks.is_complete());
            for callback in callbacks.value {
                match kernel
                    .space
                    .read_u64(callback.plus(u64::from(head.func.offset)))
                {
                    Ok(func) if func < MAX_OFFSET => {
                        facts.objects.push(freed_object(callback, func));
                    }
                    Ok(func) if Some(VirtAddr(func)) == free_sheaf => facts.sheaves.push(callback),
                    Ok(_) => {}
                    Err(_) => facts.broken += 1,
                }
            }
        }
    }
    if facts.broken > 0 {
        kernel.diag.warn_many(
            "rcu-callbacks-lost",
            "lists of RCU's callbacks can't be followed to their end: objects that they free count as allocated (look at them with crash: p rcu_data)",
            facts.broken,
        );
    }
    Ok(facts)
}
