//! The blocks of large kmalloc that nothing points to.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::content::{self, Content};
use super::holders::Holder;
use super::led_by;
use super::lost::Lost;
use super::scan::Found;
use super::search::{Done, Search};
use super::targets::Targets;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::variables::Variables;

/// Bytes of a block that are looked at.
const LOOKED_AT: u32 = 512;

/// The reachable and the lost blocks.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BlockReach {
    /// Whether the kernel marks them: else none is known, and what they hold is always reachable.
    pub marked: bool,
    /// Those that are judged, by size.
    pub sizes: BTreeMap<u64, BlocksOfSize>,
    /// Those that were given to kfree_rcu() and wait: not judged.
    pub waiting: u64,
    /// Those that nothing points to, by address.
    pub lost: Vec<VirtAddr>,
    /// Caches whose unreachable objects lead to them, and to how many.
    pub led_by: Vec<Holder>,
    /// What they begin with.
    pub content: Content,
}

/// Blocks of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlocksOfSize {
    /// All that are judged.
    pub blocks: u64,
    /// Those that nothing points to.
    pub unreachable: u64,
}

impl BlockReach {
    /// Blocks that are judged.
    pub fn judged(&self) -> u64 {
        self.sizes.values().map(|of| of.blocks).sum()
    }

    /// Bytes of those that nothing points to.
    pub fn lost_bytes(&self) -> u64 {
        let sizes = self.sizes.iter();
        sizes.fold(0, |sum, (bytes, of)| {
            sum.saturating_add(bytes.saturating_mul(of.unreachable))
        })
    }
}

/// Blocks count as allocated, unless they wait in kfree_rcu's batches; how many do.
pub(super) fn judge_all(found: &Found, targets: &Targets, given: &HashSet<u64>) -> u64 {
    let mut waiting = 0;
    for number in targets.blocks() {
        match targets.address(number) {
            Some((start, _)) if !given.contains(&start.0) => {
                found.allocated.set(number);
            }
            _ => waiting += 1,
        }
    }
    waiting
}

/// The blocks of large kmalloc; those of the lost that are none stay.
pub(super) fn taken_of(
    search: &Search<'_>,
    done: &Done,
    symbols: &Variables<'_>,
    lost: &mut Vec<Lost>,
    waiting: u64,
) -> BlockReach {
    let of_blocks = lost.pop().unwrap_or_default();
    BlockReach {
        marked: search.marks_blocks,
        waiting,
        ..of(
            search.kernel,
            symbols,
            (&done.found, &search.targets),
            &of_blocks,
            led_by(&of_blocks.led_by, &search.heap),
        )
    }
}

/// What became of them; `lost` are those that nothing points to.
fn of(
    kernel: &Kernel,
    symbols: &Variables<'_>,
    (found, targets): (&Found, &Targets),
    lost: &Lost,
    led_by: Vec<Holder>,
) -> BlockReach {
    let mut sizes: BTreeMap<u64, BlocksOfSize> = BTreeMap::new();
    for number in targets.blocks() {
        if let Some((_, bytes)) = targets.address(number)
            && found.allocated.get(number)
        {
            let of = sizes.entry(u64::from(bytes)).or_default();
            of.blocks += 1;
            of.unreachable += u64::from(!found.marked.get(number));
        }
    }
    let addresses: Vec<VirtAddr> = lost.addresses(found, targets).collect();
    BlockReach {
        content: content::look(
            kernel,
            symbols,
            addresses.iter().copied(),
            addresses.len() as u64,
            LOOKED_AT,
        ),
        lost: addresses,
        sizes,
        led_by,
        ..BlockReach::default()
    }
}
