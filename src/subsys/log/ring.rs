//! The printk ring buffer of 5.10 and later.
//!
//! Descriptors from `tail_id` to `head_id` name blocks of text in a byte ring
//! (kernel/printk/printk_ringbuffer.c). A descriptor's state is in the top two bits
//! of its counter; a block starts with its descriptor's id.

use super::{Caller, LogRecord};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, slice};
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError};
use crate::partial::{End, Partial};

layout! {
    /// kernel/printk/printk_ringbuffer.h
    struct RingLayout = "printk_ringbuffer" in "kernel/printk/printk.c" {
        need count_bits = "desc_ring.count_bits",
        need descs = "desc_ring.descs",
        need infos = "desc_ring.infos",
        need head = "desc_ring.head_id.counter",
        need tail = "desc_ring.tail_id.counter",
        need size_bits = "text_data_ring.size_bits",
        need data = "text_data_ring.data",
    }
}

layout! {
    /// kernel/printk/printk_ringbuffer.h
    struct DescLayout = "prb_desc" in "kernel/printk/printk.c" {
        need state = "state_var.counter",
        need begin = "text_blk_lpos.begin",
        need next = "text_blk_lpos.next",
    }
}

layout! {
    /// include/linux/printk.h
    struct InfoLayout = "printk_info" in "kernel/printk/printk.c" {
        need ts_nsec = "ts_nsec",
        need text_len = "text_len",
        need seq = "seq",
        need level = "level",
        need facility = "facility",
        need caller = "caller_id",
        maybe subsystem = "dev_info.subsystem",
        maybe device = "dev_info.device",
    }
}

const ID_BITS: u64 = (1 << 62) - 1;
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;
/// Larger rings than 2^25 bytes are not configurable (CONFIG_LOG_BUF_SHIFT), 2^31 by boot option.
const MAX_BITS: u64 = 31;

/// All records of the ring at `ring`, oldest first.
pub(super) fn records(kernel: &Kernel, ring: u64) -> Result<Partial<Vec<LogRecord>>, KernelError> {
    let nothing = |end| Partial::new(Vec::new(), end, 0);
    let layout: RingLayout = kernel.layout()?;
    let desc: DescLayout = kernel.layout()?;
    let info: InfoLayout = kernel.layout()?;
    let Ok(record) = kernel.space.read_bytes(VirtAddr(ring), layout.len) else {
        return Ok(nothing(End::Fault));
    };
    let (count_bits, size_bits) = (
        layout.count_bits.get(&record),
        layout.size_bits.get(&record),
    );
    if count_bits > MAX_BITS || size_bits > MAX_BITS {
        return Ok(nothing(End::BrokenLink));
    }
    let (tail, head) = (
        layout.tail.get(&record) & ID_BITS,
        layout.head.get(&record) & ID_BITS,
    );
    let wanted = head.wrapping_sub(tail) & ID_BITS;
    let count = 1u64 << count_bits;
    if wanted >= count {
        return Ok(nothing(End::BrokenLink));
    }
    let reader = RingReader {
        kernel,
        count,
        size_bits,
        data: VirtAddr(layout.data.get(&record)),
    };
    let mut found = Vec::new();
    let mut end = End::Complete;
    for step in 0..=wanted {
        let id = tail.wrapping_add(step) & ID_BITS;
        let at = |table: u64, size: usize| VirtAddr(table).plus((id % reader.count) * size as u64);
        let descriptor = at(layout.descs.get(&record), desc.struct_size);
        let information = at(layout.infos.get(&record), info.struct_size);
        match reader.record(&desc, &info, descriptor, information, id) {
            Some(Some(one)) => found.push(one),
            Some(None) => {}
            None => end = End::Fault,
        }
    }
    Ok(Partial::new(found, end, wanted + 1))
}

struct RingReader<'k> {
    kernel: &'k Kernel,
    count: u64,
    size_bits: u64,
    data: VirtAddr,
}

impl RingReader<'_> {
    /// `None` if memory is missing, `Some(None)` if the descriptor holds no finished record.
    fn record(
        &self,
        desc: &DescLayout,
        info: &InfoLayout,
        descriptor: VirtAddr,
        information: VirtAddr,
        id: u64,
    ) -> Option<Option<LogRecord>> {
        let space = &self.kernel.space;
        let bytes = space.read_bytes(descriptor, desc.len).ok()?;
        let state = desc.state.get(&bytes);
        if state & ID_BITS != id || !matches!(state >> 62, COMMITTED | FINALIZED) {
            return Some(None);
        }
        let (begin, next) = (desc.begin.get(&bytes), desc.next.get(&bytes));
        let bytes = space
            .read_bytes(information, info.struct_size.min(4 << 10))
            .ok()?;
        let len = info.text_len.get(&bytes) as usize;
        // Odd positions mark records without text.
        let (place, text) = if begin & 1 == 1 {
            (None, String::new())
        } else {
            let (at, text) = self.text(begin, next, len)?;
            (Some((at, text.len())), super::text(&text))
        };
        let name = |field: Option<Field>| {
            let field = field?;
            let name = slice(&bytes, field.offset as usize, field.size as usize)?;
            Some(c_string(name)).filter(|name| !name.is_empty())
        };
        Some(Some(LogRecord {
            seq: info.seq.get(&bytes),
            ts_nsec: info.ts_nsec.get(&bytes),
            level: info.level.get(&bytes) as u8,
            facility: info.facility.get(&bytes) as u8,
            caller: Some(Caller::from_kernel(info.caller.get(&bytes) as u32)),
            subsystem: name(info.subsystem),
            device: name(info.device),
            text,
            place,
        }))
    }

    /// `None` if memory is missing. A block starts with its descriptor's id; a record that says
    /// it is longer than its block is cut to that.
    fn text(&self, begin: u64, next: u64, len: usize) -> Option<(VirtAddr, Vec<u8>)> {
        let size = 1u64 << self.size_bits;
        // A block that would wrap lies at the start of the ring instead.
        let wraps = begin >> self.size_bits != next >> self.size_bits && !next.is_multiple_of(size);
        let start = if wraps { 0 } else { begin };
        let room = match next.wrapping_sub(start) % size {
            0 => size,
            room => room,
        };
        let len = (len as u64).min(room.saturating_sub(8)) as usize;
        let at = self.data.plus(start % size + 8);
        let text = self.kernel.space.read_bytes(at, len).ok()?;
        Some((at, text))
    }
}
