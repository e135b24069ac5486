//! The hash table of dentries (fs/dcache.c), by which look-ups find them.

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError, walk};

/// Buckets that are read at once, and the most that there are (2 GiB of heads).
const CHUNK: u64 = 1 << 12;
const MAX_BUCKETS: u64 = 1 << 28;

/// What the table holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashTable {
    pub(super) buckets: u64,
    /// Dentries on all chains.
    pub(super) dentries: u64,
    /// Chains, and parts of the table, that could not be followed to their end.
    pub(super) broken: u64,
}

impl HashTable {
    /// Follows all chains. `most` dentries there are at all.
    pub(super) fn read(kernel: &Kernel, most: u64) -> Result<Self, KernelError> {
        let space = &kernel.space;
        let table = kernel.need_symbol("dentry_hashtable")?;
        let table = space.read_ptr(table).map_err(|fault| KernelError::Memory {
            what: "where the hash table of dentries lies",
            fault,
        })?;
        let buckets = buckets(kernel)?;
        let mut found = Self {
            buckets,
            dentries: 0,
            broken: 0,
        };
        for chunk in (0..buckets).step_by(CHUNK as usize) {
            let count = CHUNK.min(buckets - chunk);
            let at = table.plus(chunk * 8);
            let Ok(heads) = space.span(at, count as usize * 8) else {
                found.broken += 1;
                continue;
            };
            for index in 0..count {
                let first = u64_at(&heads, index as usize * 8).unwrap_or(0);
                if first & !1 == 0 {
                    continue;
                }
                let chain = walk::hlist_bl(space, head(at, index), first, most);
                found.dentries += chain.seen;
                found.broken += u64::from(!chain.end.is_complete());
            }
        }
        Ok(found)
    }
}

fn head(at: VirtAddr, index: u64) -> VirtAddr {
    at.plus(index * 8)
}

/// How many chains there are: up to 4.15 there is a mask; later a shift of 32-bit hashes (commit
/// 854d3e63438d).
fn buckets(kernel: &Kernel) -> Result<u64, KernelError> {
    let mask = kernel.u32_of("d_hash_mask").there("d_hash_mask")?;
    let count = match mask {
        Some(mask) => u64::from(mask) + 1,
        None => {
            let shift = kernel.u32_of("d_hash_shift").there("d_hash_shift")?;
            let shift = shift.ok_or(KernelError::NoSymbol("d_hash_shift"))?;
            1 << 32u32.saturating_sub(shift).min(32)
        }
    };
    Ok(count.min(MAX_BUCKETS))
}
