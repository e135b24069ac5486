//! The garbage collector that takes expired connections out of the table
//! (`gc_worker`, net/netfilter/nf_conntrack_core.c): when it last began a round.

use serde::Serialize;

use super::Symbols;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

layout! {
    /// net/netfilter/nf_conntrack_core.c
    struct GcLayout = "conntrack_gc_work" in "net/netfilter/nf_conntrack_core.c" {
        maybe next_bucket = "next_bucket",
        /// 5.16 and later.
        maybe start_time = "start_time",
    }
}

/// Where the collector was.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct GcFacts {
    /// Seconds since its round began; `None` where the kernel does not keep that.
    pub seconds_since_start: Option<f64>,
    /// The bucket that it would have gone on with.
    pub next_bucket: Option<u64>,
}

/// Reads the collector's state; what the kernel does not keep, or the dump lacks, is `None`.
///
/// # Errors
/// If the kernel's types don't describe the collector.
pub(crate) fn read(
    kernel: &Kernel,
    symbols: &dyn Symbols,
    clock: &Clock,
) -> Result<GcFacts, KernelError> {
    let Some(at) = symbols.address("conntrack_gc_work") else {
        return Ok(GcFacts::default());
    };
    let layout: GcLayout = kernel.layout()?;
    let Ok(record) = kernel.space.read_bytes(at, layout.len) else {
        return Ok(GcFacts::default());
    };
    // Zero before the first round.
    let start = layout.start_time.map(|field| field.get(&record) as u32);
    let ago = start
        .filter(|start| *start != 0)
        .map(|start| (clock.jiffies as u32).wrapping_sub(start));
    Ok(GcFacts {
        seconds_since_start: ago.map(|ticks| f64::from(ticks) / clock.hz as f64),
        next_bucket: layout.next_bucket.map(|field| field.get(&record)),
    })
}
