//! What lies on the queues of a socket.

use std::sync::{Mutex, PoisonError};

use super::facts::{Kind, QueueFacts, SocketFacts};
use super::layouts::SkbLayout;
use super::reader::{LISTEN, Reader};
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
            first_bytes: 0,
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
            let bytes = self.skb.data.get(&record);
            if queue.skbs == 0 {
                queue.first_bytes = bytes;
            }
            queue.skbs += 1;
            queue.bytes += bytes;
            queue.truesize_bytes += self.skb.truesize.get(&record);
        }
        queue
    }
}

impl Reader<'_> {
    /// All queues of a socket that are not empty.
    pub(super) fn queues(&self, facts: &SocketFacts, record: &[u8]) -> Option<Vec<QueueFacts>> {
        let (at, sock, reader) = (facts.address, &self.sock, &self.queues);
        let mut found = Vec::new();
        found.extend(reader.list("receive", at, record, sock.receive_queue));
        found.extend(reader.list("write", at, record, sock.write_queue));
        found.extend(reader.list("error", at, record, sock.error_queue));
        let backlog = VirtAddr(sock.backlog_first.get(record));
        found.extend(reader.chain("backlog", backlog));
        match facts.kind {
            Kind::Tcp => {
                if let Some(tree) = sock.rtx_queue.filter(|_| facts.state_number != LISTEN) {
                    found.extend(reader.tree("retransmit", at, record, tree));
                }
                let tcp = &self.tcp.tcp;
                let own = self.kernel.space.span(at, tcp.len).ok()?;
                if tcp.out_of_order.size == 8 {
                    found.extend(reader.tree("out_of_order", at, &own, tcp.out_of_order));
                } else {
                    found.extend(reader.list("out_of_order", at, &own, tcp.out_of_order));
                }
            }
            Kind::Udp | Kind::UdpLite => {
                if let Some(queue) = self.udp.reader {
                    let own = self.kernel.space.span(at, self.udp.len).ok()?;
                    found.extend(reader.list("reader", at, &own, queue));
                }
            }
            _ => {}
        }
        Some(found)
    }
}
