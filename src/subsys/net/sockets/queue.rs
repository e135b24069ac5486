//! What lies on the queues of a socket.

use std::sync::{Mutex, PoisonError};

use super::facts::QueueFacts;
use super::layouts::SkbLayout;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::Field;
use crate::kernel::walk;
use crate::partial::{End, Partial};
use crate::space::AddressSpace;

/// More than any queue's buffers.
const MAX_SKBS: u64 = 1 << 24;

/// Reads queues of `struct sk_buff`.
pub(super) struct QueueReader<'k> {
    pub(super) space: &'k AddressSpace,
    pub(super) skb: SkbLayout,
    /// Where each buffer lies, if that is wanted.
    pub(super) found: Option<Mutex<Vec<(VirtAddr, &'static str)>>>,
}

impl QueueReader<'_> {
    /// The `sk_buff_head` that is the member `field` of what lies at `owner` with the bytes
    /// `record`. Its `next` and `prev` stand where those of a list do.
    pub(super) fn list(
        &self,
        name: &'static str,
        owner: VirtAddr,
        record: &[u8],
        field: Field,
    ) -> Option<QueueFacts> {
        let head = owner.plus(u64::from(field.offset));
        let first = u64_at(record, field.offset as usize)?;
        // The usual one is empty, which its head tells; one that was never made is all zeros.
        if first == head.0 || first == 0 {
            return None;
        }
        Some(self.sum(name, walk::list(self.space, head, MAX_SKBS)))
    }

    /// The red-black tree of buffers (`rbnode`, which they begin with).
    pub(super) fn tree(
        &self,
        name: &'static str,
        owner: VirtAddr,
        record: &[u8],
        field: Field,
    ) -> Option<QueueFacts> {
        if u64_at(record, field.offset as usize)? == 0 {
            return None;
        }
        let root = owner.plus(u64::from(field.offset));
        Some(self.sum(name, walk::rbtree(self.space, root, MAX_SKBS as usize)))
    }

    /// A chain that ends with null.
    pub(super) fn chain(&self, name: &'static str, first: VirtAddr) -> Option<QueueFacts> {
        (!first.is_null()).then(|| self.sum(name, walk::chain(self.space, first, 0, MAX_SKBS)))
    }

    fn sum(&self, name: &'static str, skbs: Partial<Vec<VirtAddr>>) -> QueueFacts {
        let mut queue = QueueFacts {
            name,
            skbs: 0,
            bytes: 0,
            truesize_bytes: 0,
            end: skbs.end,
        };
        if let Some(found) = &self.found {
            let all = skbs.value.iter().map(|at| (*at, name));
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(all);
        }
        for at in skbs.value {
            let Ok(record) = self.space.span(at, self.skb.len) else {
                queue.end = End::Fault;
                continue;
            };
            queue.skbs += 1;
            queue.bytes += self.skb.data.get(&record);
            queue.truesize_bytes += self.skb.truesize.get(&record);
        }
        queue
    }
}
