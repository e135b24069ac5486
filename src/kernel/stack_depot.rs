//! The kernel's store of stack traces: from a handle to its frames.
//!
//! Layer: kernel. Input: a handle of 32 bits, as slab tracks, page owner, kmemleak and KASAN
//! keep one. Output: the return addresses, innermost first. The bits of a handle are those of
//! `union handle_parts` in the kernel's types: which pool, where in it, and what the kernel
//! keeps besides. Invariant: a record is believed only if it carries the handle it was reached
//! by, and lies wholly in its pool.

use thiserror::Error;

use super::layout::{Field, layout};
use super::{Kernel, KernelError};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::space::MemFault;

/// Offsets in a pool are counted in 16 bytes (`DEPOT_STACK_ALIGN`, before 6.3
/// `STACK_ALLOC_ALIGN`; the same since 4.6).
const ALIGN_SHIFT: u32 = 4;

/// The most frames of a trace that any kernel can be configured for
/// (`CONFIG_STACKDEPOT_MAX_FRAMES`, 6.3 and later).
const MAX_FRAMES: u64 = 256;

/// The most pools that a handle has bits for: 21 of them before 5.18.
const MAX_POOLS: u64 = 1 << 21;

/// No array of pools is shorter: what is, is a pointer to one.
const FEWEST_POOLS: u64 = 64;

layout! {
    /// lib/stackdepot.c, since 6.9 include/linux/stackdepot.h.
    struct StackHandleLayout = "handle_parts" in "lib/stackdepot.c" {
        /// 6.9 and later (commit 3ee34eabac2a). Without the one it says before, in 4.6 to 6.8.
        maybe index_plus_1 = "pool_index_plus_1",
        /// Up to 6.2 `slabindex`.
        maybe index = "pool_index" | "slabindex",
        need offset = "offset",
        /// Up to 6.7. That it is set needs no check: the record's own handle has it too.
        maybe valid = "valid",
        /// 6.1 and later (commit 83a4f1ef45a7): the user's own bits, not part of what the record has.
        maybe extra = "extra",
    }
}

layout! {
    /// lib/stackdepot.c, since 6.9 include/linux/stackdepot.h.
    struct StackRecordLayout = "stack_record" in "lib/stackdepot.c" {
        need size = "size",
        need handle = "handle",
        /// 6.8 and later (commit 108be8def46e): zero once it is free to be used again.
        maybe count = "count.refs.counter",
        need entries = "entries",
    }
}

/// Why a handle gives no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum StackError {
    /// It can't be a handle of this kernel: it names no pool.
    #[error("{0:#x} is no handle of a stack trace")]
    NoHandle(u32),
    /// What lies there is not its record: given up and used again, or overwritten.
    #[error("the stack trace of handle {0:#x} is gone or damaged")]
    Gone(u32),
    /// The dump lacks its memory.
    #[error("the stack trace can't be read: {0}")]
    Memory(#[from] MemFault),
}

/// A record of the depot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackRecord {
    /// Return addresses, innermost first.
    pub(crate) frames: Vec<u64>,
    /// The reference count, 6.8 and later: what it counts is its user's.
    pub(crate) count: Option<u32>,
}

/// The stack depot of a kernel.
#[derive(Debug)]
pub(crate) struct StackDepot<'k> {
    kernel: &'k Kernel,
    /// Where the array of pointers to pools starts.
    pools: VirtAddr,
    /// How many of them there can be.
    bound: u64,
    handle: StackHandleLayout,
    record: StackRecordLayout,
}

impl<'k> StackDepot<'k> {
    /// Finds the depot; `None` if the kernel was built without one, or has not set it up.
    ///
    /// # Errors
    /// If it has one whose shape is not known, or its pools can't be found.
    pub(crate) fn open(kernel: &'k Kernel) -> Result<Option<Self>, KernelError> {
        let Some(place) = place(kernel)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            kernel,
            pools: place.0,
            bound: place.1,
            handle: kernel.layout()?,
            record: kernel.layout()?,
        }))
    }

    /// The frames behind a handle, innermost first; none for the handle 0, which says that no
    /// trace was taken.
    ///
    /// # Errors
    /// If there is no such record, or it can't be read.
    pub(crate) fn fetch(&self, handle: u32) -> Result<Vec<u64>, StackError> {
        match handle {
            0 => Ok(Vec::new()),
            _ => self.fetch_record(handle).map(|record| record.frames),
        }
    }

    /// The record behind a handle.
    ///
    /// # Errors
    /// If there is no such record, or it can't be read.
    pub(crate) fn fetch_record(&self, handle: u32) -> Result<StackRecord, StackError> {
        let bytes = handle.to_le_bytes();
        let index = match (self.handle.index_plus_1, self.handle.index) {
            (Some(plus_1), _) => plus_1.get(&bytes).checked_sub(1),
            (None, Some(index)) => Some(index.get(&bytes)),
            (None, None) => None,
        };
        let index = index.ok_or(StackError::NoHandle(handle))?;
        match self.in_pool(handle, index) {
            // 6.8.3 and 6.8.4 count from one under the old name.
            Err(first) if self.handle.valid.is_none() && self.handle.index_plus_1.is_none() => {
                let below = index.checked_sub(1).ok_or(first)?;
                self.in_pool(handle, below).map_err(|_| first)
            }
            found => found,
        }
    }

    /// The record that lies at `at`, whatever handle leads to it: for lists of records
    /// (`struct stack` of the page owner).
    ///
    /// # Errors
    /// If it is none, or can't be read.
    pub(crate) fn record_at(&self, at: VirtAddr) -> Result<StackRecord, StackError> {
        let head = self.kernel.space.span(at, self.head_len())?;
        let handle = self.record.handle.get(&head) as u32;
        match self.in_parts(handle) {
            true => self.read_record(at, handle, u64::MAX),
            false => Err(StackError::Gone(handle)),
        }
    }

    /// Whether a handle's parts are not all zero.
    fn in_parts(&self, handle: u32) -> bool {
        handle & !self.extra_mask() != 0
    }

    fn in_pool(&self, handle: u32, index: u64) -> Result<StackRecord, StackError> {
        if index >= self.bound {
            return Err(StackError::NoHandle(handle));
        }
        let pool = self.kernel.space.read_ptr(self.pools.plus(index * 8))?;
        if pool.is_null() {
            return Err(StackError::NoHandle(handle));
        }
        let offset = self.handle.offset.get(&handle.to_le_bytes()) << ALIGN_SHIFT;
        let room = self.pool_size().saturating_sub(offset);
        self.read_record(pool.plus(offset), handle, room)
    }

    /// Where the pools start, as far as they are in the dump. They hold nothing but records, and
    /// these no addresses but those of code and of each other.
    pub(crate) fn pools(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        // What lies behind the array is no pool, so that nothing is said where it is not known
        // how many are in use; they are taken in turn.
        let used = used_pools(self.kernel)
            .ok()
            .flatten()
            .unwrap_or(0)
            .min(self.bound);
        let slots = (0..used).map(|index| self.pools.plus(index * 8));
        slots.map_while(|slot| {
            let pool = self.kernel.space.read_ptr(slot).ok()?;
            (!pool.is_null()).then_some(pool)
        })
    }

    /// Bytes in a pool: an offset can reach them all.
    pub(crate) fn pool_size(&self) -> u64 {
        let width = self.handle.offset.bits.map_or(10, |bits| bits.width);
        1 << (u32::from(width) + ALIGN_SHIFT)
    }

    /// Bytes of a record before its frames.
    fn head_len(&self) -> usize {
        let entries = self.record.entries.offset as usize;
        self.record
            .size
            .end()
            .max(self.record.handle.end())
            .max(entries)
    }

    fn extra_mask(&self) -> u32 {
        self.handle.extra.map_or(0, mask)
    }

    fn read_record(&self, at: VirtAddr, handle: u32, room: u64) -> Result<StackRecord, StackError> {
        let head = self.kernel.space.span(at, self.head_len())?;
        let own = self.record.handle.get(&head) as u32;
        let ignored = self.extra_mask();
        let count = self.record.count.map(|field| field.get(&head) as u32);
        let size = self.record.size.get(&head);
        let entries = u64::from(self.record.entries.offset);
        let fits = size <= MAX_FRAMES && entries + size * 8 <= room;
        if own & !ignored != handle & !ignored || count == Some(0) || !fits {
            return Err(StackError::Gone(handle));
        }
        let words = self
            .kernel
            .space
            .span(at.plus(entries), size as usize * 8)?;
        let frames = (0..size as usize).filter_map(|word| u64_at(&words, word * 8));
        Ok(StackRecord {
            frames: frames.collect(),
            count,
        })
    }
}

/// The bits of a handle that a field takes.
fn mask(field: Field) -> u32 {
    let bits = field.bits.map_or(0, |bits| (1u64 << bits.width) - 1);
    let shift = field.bits.map_or(0, |bits| u32::from(bits.shift)) + field.offset * 8;
    (bits << shift) as u32
}

/// Where the pointers to pools are, and how many of them are in use.
fn place(kernel: &Kernel) -> Result<Option<(VirtAddr, u64)>, KernelError> {
    // 6.3 and later, and what it was called before (commit 961c949b012f).
    let (name, symbol) = match kernel.symbol("stack_pools") {
        Some(symbol) => ("stack_pools", symbol),
        None => match kernel.symbol("stack_slabs") {
            Some(symbol) => ("stack_slabs", symbol),
            None => return Ok(None),
        },
    };
    // The room is up to the next symbol, which may be far away if not all symbols are known.
    let room = kernel.symbol_room(name).unwrap_or(u64::MAX) / 8;
    let used = used_pools(kernel)?.unwrap_or(room).min(MAX_POOLS);
    // Once their number became a boot option, the array became a pointer to one.
    if kernel.symbol("stack_max_pools").is_none() && room >= FEWEST_POOLS {
        return Ok(Some((symbol, used.min(room))));
    }
    let array = kernel.space.read_ptr(symbol);
    let array = array.map_err(|fault| KernelError::Memory {
        what: "stack_pools",
        fault,
    })?;
    Ok((!array.is_null()).then_some((array, used)))
}

/// How many pools there are: a number since 6.8, before the index of the last one.
fn used_pools(kernel: &Kernel) -> Result<Option<u64>, KernelError> {
    let after = |name| kernel.u32_of(name).map(|last| u64::from(last) + 1);
    let number = kernel.u32_of("pools_num").map(u64::from);
    let number = number.or_else(|| after("pool_index"));
    number
        .or_else(|| after("depot_index"))
        .there("the number of stack depot pools")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Bits;

    #[test]
    fn the_users_bits_of_a_handle_are_masked() {
        let field = |offset, shift, width| Field {
            offset,
            size: 4,
            bits: Some(Bits { shift, width }),
        };
        // 6.12: pool_index_plus_1:17, offset:10, extra:5.
        assert_eq!(mask(field(3, 3, 5)), 0xf800_0000);
        assert_eq!(mask(field(0, 0, 17)), 0x0001_ffff);
        assert_eq!(mask(field(2, 1, 10)), 0x07fe_0000);
    }
}
