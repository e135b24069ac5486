//! Pages that hold the data of packets (`sk_buff`): page fragments, and heads made of them.

use super::Claims;
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/skbuff.h
    struct PacketLayout = "sk_buff" in "net/core/skbuff.c" {
        need next = "next",
        need head = "head",
        /// From `head` to the shared part.
        need end = "end",
    }
}

layout! {
    /// include/linux/skbuff.h
    struct SharedLayout = "skb_shared_info" in "net/core/skbuff.c" {
        need fragments = "nr_frags",
        need list = "frag_list",
        /// Of `skb_frag_t`: the page's structure, its offset and its length, in 16 bytes.
        need array = "frags",
    }
}

/// Bytes of a `skb_frag_t` in each era, of which the page comes first: `skb_frag_struct.page.p`,
/// `bio_vec.bv_page` (5.4 to 6.7), `skb_frag.netmem`.
const FRAGMENT: usize = 16;
/// What is no page of this machine (`netmem`, 6.10 and later).
const NET_IOV: u64 = 1;
/// More than a queue ever has: 4 GiB of the smallest.
const MAX_PACKETS: u64 = 1 << 24;
/// Packets in one: 64 KiB of the smallest.
const MAX_PARTS: u64 = 1 << 16;

pub(super) struct Packets<'k> {
    kernel: &'k Kernel,
    packet: PacketLayout,
    shared: SharedLayout,
}

impl<'k> Packets<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            packet: kernel.layout()?,
            shared: kernel.layout()?,
            kernel,
        })
    }

    /// Those of a `sk_buff_head`, or of a list without a head (`sk_backlog`).
    pub(super) fn queue(&self, head: VirtAddr, first: VirtAddr, owner: u32, claims: &mut Claims) {
        let mut at = first;
        for _ in 0..MAX_PACKETS {
            if at.is_null() || at == head {
                return;
            }
            let Some(next) = self.packet(at, owner, claims) else {
                return;
            };
            at = next;
        }
    }

    /// The pages of one packet, and of those that it was put together of; which is the next.
    pub(super) fn packet(&self, at: VirtAddr, owner: u32, claims: &mut Claims) -> Option<VirtAddr> {
        let (next, mut part) = self.one(at, owner, claims)?;
        for _ in 0..MAX_PARTS {
            if part.is_null() {
                break;
            }
            match self.one(part, owner, claims) {
                Some((next, _)) => part = next,
                None => break,
            }
        }
        Some(next)
    }

    /// The pages of one `sk_buff`: which is the next, and the first of its own list.
    fn one(&self, at: VirtAddr, owner: u32, claims: &mut Claims) -> Option<(VirtAddr, VirtAddr)> {
        let space = &self.kernel.space;
        let record = space.span(at, self.packet.len).ok()?;
        let head = VirtAddr(self.packet.head.get(&record));
        let next = VirtAddr(self.packet.next.get(&record));
        claims.block(owner, head);
        let shared = head.plus(self.packet.end.get(&record));
        let record = space.read_bytes(shared, self.shared.struct_size).ok()?;
        let array = self.shared.array.offset as usize;
        let most = self.shared.array.size as usize / FRAGMENT;
        let count = (self.shared.fragments.get(&record) as usize).min(most);
        for index in 0..count {
            let word = u64_at(&record, array + index * FRAGMENT)?;
            if word & NET_IOV == 0 {
                claims.block(owner, VirtAddr(word));
            }
        }
        Some((next, VirtAddr(self.shared.list.get(&record))))
    }
}
