//! Packet sockets (net/packet/af_packet.c).

use super::facts::PacketFacts;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// net/packet/internal.h
    pub(super) struct PacketLayout = "packet_sock" in "net/packet/af_packet.c" {
        need num = "num",
        need ifindex = "ifindex",
        /// A bit of its own up to 6.2 (commit 50d935eafee2).
        maybe running = "running",
        maybe flags = "flags",
        need rx_blocks = "rx_ring.pg_vec_len",
        need rx_order = "rx_ring.pg_vec_order",
        need tx_blocks = "tx_ring.pg_vec_len",
        need tx_order = "tx_ring.pg_vec_order",
    }
}

/// PACKET_SOCK_RUNNING of enum packet_sock_flags.
const RUNNING: &str = "PACKET_SOCK_RUNNING";
/// MAX_PAGE_ORDER and more.
const MAX_ORDER: u64 = 16;

pub(super) struct PacketReader {
    layout: PacketLayout,
    running: Option<i64>,
}

impl PacketReader {
    pub(super) fn new(kernel: &Kernel) -> Option<Self> {
        Some(Self {
            layout: kernel.layout().ok()?,
            running: kernel
                .types
                .enumerator("packet_sock_flags", "net/packet/af_packet.c", RUNNING)
                .ok()?,
        })
    }

    /// `None` if its memory is missing.
    pub(super) fn read(&self, kernel: &Kernel, at: VirtAddr) -> Option<PacketFacts> {
        let layout = &self.layout;
        let record = kernel.space.span(at, layout.len).ok()?;
        let page = kernel.dump().page_size() as u64;
        let ring = |blocks: u64, order: u64| {
            let block = page << order.min(MAX_ORDER);
            blocks.saturating_mul(block)
        };
        let running = match (layout.running, layout.flags, self.running) {
            (Some(bit), ..) => bit.get(&record) != 0,
            (None, Some(flags), Some(bit)) => flags.get(&record) >> (bit & 63) & 1 != 0,
            _ => false,
        };
        Some(PacketFacts {
            protocol: (layout.num.get(&record) as u16).swap_bytes(),
            ifindex: layout.ifindex.get(&record),
            running,
            ring_bytes: ring(layout.rx_blocks.get(&record), layout.rx_order.get(&record))
                .saturating_add(ring(
                    layout.tx_blocks.get(&record),
                    layout.tx_order.get(&record),
                )),
        })
    }
}
