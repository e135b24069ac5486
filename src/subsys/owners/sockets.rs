//! What sockets hold: packets on their queues, rings, and the page that they fill.

use super::packets::Packets;
use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError, walk};
use crate::subsys::fs::descriptors::Open;

layout! {
    /// include/linux/net.h
    struct SocketLayout = "socket" in "net/socket.c" {
        need sk = "sk",
    }
}

layout! {
    /// include/net/sock.h
    struct SockLayout = "sock" in "net/core/sock.c" {
        need family = "__sk_common.skc_family",
        need kind = "sk_type",
        need protocol = "sk_protocol",
        need receive = "sk_receive_queue",
        need write = "sk_write_queue",
        need errors = "sk_error_queue",
        need backlog = "sk_backlog.head",
        need fragment = "sk_frag.page",
        /// 4.15 and later (commit 75c119afe14f).
        maybe retransmit = "tcp_rtx_queue",
    }
}

layout! {
    /// include/linux/tcp.h
    struct TcpLayout = "tcp_sock" in "net/ipv4/tcp.c" {
        need out_of_order = "out_of_order_queue",
    }
}

layout! {
    /// include/linux/udp.h
    struct UdpLayout = "udp_sock" in "net/ipv4/udp.c" {
        /// 4.12 and later (commit 2276f58ac589).
        maybe reader = "reader_queue",
    }
}

layout! {
    /// net/packet/internal.h
    struct PacketSockLayout = "packet_sock" in "net/packet/af_packet.c" {
        need receive = "rx_ring",
        need send = "tx_ring",
    }
}

layout! {
    /// net/packet/internal.h
    struct RingLayout = "packet_ring_buffer" in "net/packet/af_packet.c" {
        need vector = "pg_vec",
        need count = "pg_vec_len",
        need pages = "pg_vec_pages",
    }
}

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const AF_PACKET: u64 = 17;
const STREAM: u64 = 1;
const TCP: u64 = 6;
const UDP: u64 = 17;
/// Blocks of one ring.
const MAX_BLOCKS: u64 = 1 << 20;
/// Packets in one tree.
const MAX_TREE: usize = 1 << 24;

pub(super) struct Sockets<'k> {
    kernel: &'k Kernel,
    packets: Packets<'k>,
    socket: SocketLayout,
    sock: SockLayout,
    tcp: Option<TcpLayout>,
    udp: Option<UdpLayout>,
    packet: Option<(PacketSockLayout, RingLayout)>,
}

impl<'k> Sockets<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let packet = kernel.layout().ok();
        Ok(Self {
            packets: Packets::new(kernel)?,
            socket: kernel.layout()?,
            sock: kernel.layout()?,
            tcp: kernel.layout().ok(),
            udp: kernel.layout().ok(),
            packet: packet.zip(kernel.layout().ok()),
            kernel,
        })
    }

    /// All of one open socket.
    pub(super) fn claim(&self, open: &Open, claims: &mut Claims) -> Option<()> {
        let space = &self.kernel.space;
        let sk = space
            .read_ptr(open.data.plus(u64::from(self.socket.sk.offset)))
            .ok()
            .filter(|sk| !sk.is_null())?;
        let record = space.read_bytes(sk, self.sock.len).ok()?;
        let of = |field: &Field| field.get(&record);
        let (family, kind, protocol) = (
            of(&self.sock.family),
            of(&self.sock.kind),
            of(&self.sock.protocol),
        );
        let name = name(family, kind, protocol);
        let owner = |claims: &mut Claims, part: &str| {
            claims.owner(Owner {
                kind: "socket_buffers",
                name: format!("{name} {part}"),
                pid: Some(open.pid),
                comm: Some(open.comm.clone()),
            })
        };
        let queues = [
            (self.sock.receive.offset, "receive queue"),
            (self.sock.write.offset, "send queue"),
            (self.sock.errors.offset, "error queue"),
        ];
        for (offset, part) in queues {
            let owner = owner(claims, part);
            self.queue(sk.plus(u64::from(offset)), owner, claims);
        }
        let backlog = owner(claims, "backlog");
        let first = VirtAddr(of(&self.sock.backlog));
        self.packets.queue(VirtAddr(0), first, backlog, claims);
        if matches!(family, AF_INET | AF_INET6) && (kind, protocol) == (STREAM, TCP) {
            let owner = owner(claims, "send queue");
            if let Some(tree) = &self.sock.retransmit {
                self.tree(sk.plus(u64::from(tree.offset)), owner, claims);
            }
            if let Some(tcp) = &self.tcp {
                let tree = sk.plus(u64::from(tcp.out_of_order.offset));
                self.tree(tree, owner, claims);
            }
        }
        if let Some(reader) = self.udp.as_ref().and_then(|udp| udp.reader.as_ref())
            && matches!(family, AF_INET | AF_INET6)
            && protocol == UDP
        {
            let owner = owner(claims, "receive queue");
            self.queue(sk.plus(u64::from(reader.offset)), owner, claims);
        }
        if family == AF_PACKET {
            self.rings(sk, open, claims);
        }
        let fragment = owner(claims, "page to fill");
        claims.block(fragment, VirtAddr(of(&self.sock.fragment)));
        Some(())
    }

    fn queue(&self, head: VirtAddr, owner: u32, claims: &mut Claims) {
        if let Ok(first) = self.kernel.space.read_ptr(head) {
            self.packets.queue(head, first, owner, claims);
        }
    }

    /// Packets are linked by a node at their very start, in place of `next`.
    fn tree(&self, root: VirtAddr, owner: u32, claims: &mut Claims) {
        for packet in walk::rbtree(&self.kernel.space, root, MAX_TREE).value {
            self.packets.packet(packet, owner, claims);
        }
    }

    /// What a sniffer has mapped (net/packet/af_packet.c, `alloc_pg_vec`).
    fn rings(&self, sk: VirtAddr, open: &Open, claims: &mut Claims) -> Option<()> {
        let (packet, ring) = self.packet.as_ref()?;
        let space = &self.kernel.space;
        for field in [&packet.receive, &packet.send] {
            let at = sk.plus(u64::from(field.offset));
            let record = space.read_bytes(at, ring.len).ok()?;
            let vector = VirtAddr(ring.vector.get(&record));
            if vector.is_null() {
                continue;
            }
            let count = ring.count.get(&record).min(MAX_BLOCKS);
            let pages = ring.pages.get(&record);
            let owner = claims.owner(Owner {
                kind: "packet_ring",
                name: String::new(),
                pid: Some(open.pid),
                comm: Some(open.comm.clone()),
            });
            claims.kmalloc(owner, vector);
            let blocks = space.read_bytes(vector, count as usize * 8).ok()?;
            for block in 0..count as usize {
                claims.pages(owner, VirtAddr(u64_at(&blocks, block * 8)?), pages.max(1));
            }
        }
        Some(())
    }
}

fn name(family: u64, kind: u64, protocol: u64) -> &'static str {
    match (family, kind, protocol) {
        (AF_UNIX, ..) => "unix",
        (AF_INET, STREAM, TCP) => "TCP",
        (AF_INET6, STREAM, TCP) => "TCPv6",
        (AF_INET, _, UDP) => "UDP",
        (AF_INET6, _, UDP) => "UDPv6",
        (AF_INET | AF_INET6, ..) => "raw",
        (AF_NETLINK, ..) => "netlink",
        (AF_PACKET, ..) => "packet",
        _ => "other",
    }
}
