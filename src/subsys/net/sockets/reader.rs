//! One socket, from its memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::facts::{Holder, InetFacts, Kind, MemoryFacts, SocketFacts, Table};
use super::layouts::{
    CommonLayout, InetLayout, MptcpLayout, ProtocolLayout, SockLayout, UdpLayout,
};
use super::names::{endpoint, family_name, kind_of, state_name, type_name};
use super::netlink::NetlinkLayout;
use super::owners::{Owned, Owners};
use super::packet::PacketReader;
use super::queue::QueueReader;
use super::tables::Hashed;
use super::tcp::TcpReader;
use super::unix::UnixReader;
use crate::addr::VirtAddr;
use crate::bytes::slice;
use crate::kernel::layout::Field;
use crate::kernel::namespaces::NetNamespace;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::memcg::CgroupNames;

/// The states that are not those of full sockets: TCP_TIME_WAIT and TCP_NEW_SYN_RECV.
const TIME_WAIT: u64 = 6;
const NEW_SYN_RECV: u64 = 12;
pub(super) const LISTEN: u64 = 10;
/// SOCK_DGRAM.
const DGRAM: u64 = 2;
/// SOCK_DEAD of enum sock_flags.
const DEAD: u64 = 1;
/// SOCK_SNDBUF_LOCK and SOCK_RCVBUF_LOCK.
const SNDBUF_LOCK: u64 = 1;
const RCVBUF_LOCK: u64 = 2;

pub(super) struct Reader<'k> {
    pub(super) kernel: &'k Kernel,
    common: CommonLayout,
    pub(super) sock: SockLayout,
    inet: InetLayout,
    protocol: ProtocolLayout,
    pub(super) udp: UdpLayout,
    /// 5.6 and later with CONFIG_MPTCP.
    mptcp: Option<MptcpLayout>,
    pub(super) queues: QueueReader<'k>,
    pub(super) tcp: TcpReader,
    unix: Option<UnixReader>,
    packet: Option<PacketReader>,
    netlink: Option<NetlinkLayout>,
    cgroups: Option<CgroupNames<'k>>,
    pub(super) owners: Owners<'k>,
    nets: FxHashMap<VirtAddr, u32>,
    /// Names of protocols by address, and paths of cgroups.
    names: Mutex<FxHashMap<VirtAddr, Option<String>>>,
}

impl<'k> Reader<'k> {
    pub(super) fn new(
        kernel: &'k Kernel,
        common: CommonLayout,
        nets: &[NetNamespace],
        keep: bool,
    ) -> Result<Self, KernelError> {
        let unix = kernel.layout().ok().zip(kernel.layout().ok());
        Ok(Self {
            sock: kernel.layout()?,
            inet: kernel.layout()?,
            protocol: kernel.layout()?,
            udp: kernel.layout()?,
            mptcp: kernel.layout().ok(),
            queues: QueueReader {
                space: &kernel.space,
                skb: kernel.layout()?,
                found: keep.then(Mutex::default),
            },
            tcp: TcpReader::new(kernel)?,
            unix: unix.map(|(socket, address)| UnixReader { socket, address }),
            packet: PacketReader::new(kernel),
            netlink: kernel.layout().ok(),
            cgroups: CgroupNames::new(kernel).ok(),
            owners: Owners::read(kernel)?,
            nets: nets.iter().map(|net| (net.address, net.inum)).collect(),
            names: Mutex::default(),
            common,
            kernel,
        })
    }

    /// A name that many have, read once.
    fn named(&self, at: VirtAddr, read: impl Fn() -> Option<String>) -> Option<String> {
        let lock = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&at) {
            return known.clone();
        }
        let name = read();
        lock().insert(at, name.clone());
        name
    }

    /// `None` if its memory is missing, or is no socket's.
    pub(super) fn read(&self, hashed: Hashed) -> Option<SocketFacts> {
        let space = &self.kernel.space;
        let record = space.span(hashed.at, self.common.len).ok()?;
        let common = &self.common;
        let family_number = common.family.get(&record);
        let family = family_name(family_number)?;
        let protocol = VirtAddr(common.prot.get(&record));
        let protocol = self.named(protocol, || {
            let at = protocol.plus(u64::from(self.protocol.name.offset));
            space.read_c_string(at, 32).ok()
        })?;
        let kind = kind_of(family_number, &protocol);
        let state = common.state.get(&record);
        let inet = matches!(family_number, 2 | 10).then(|| self.addresses(&record));
        let net = VirtAddr(common.net.get(&record));
        let mut facts = SocketFacts {
            address: hashed.at,
            netns: self.nets.get(&net).copied(),
            kind,
            family,
            type_name: "unknown",
            type_number: 0,
            protocol: 0,
            state: state_name(state),
            state_number: state,
            local: inet.map_or(String::new(), |inet| endpoint(inet.local, inet.local_port)),
            remote: inet.map_or(String::new(), |inet| {
                endpoint(inet.remote, inet.remote_port)
            }),
            inet,
            device: None,
            recv_q: 0,
            send_q: 0,
            skbs: 0,
            truesize: 0,
            queues: Vec::new(),
            limits: None,
            timer: None,
            listen: None,
            inode: 0,
            uid: 0,
            held_by: Holder::Protocol,
            owners: Vec::new(),
            mark: 0,
            bound_ifindex: common.bound_dev_if.get(&record),
            refcount: common.refcount.get(&record),
            cookie: common
                .cookie
                .map(|field| field.get(&record))
                .filter(|cookie| *cookie != 0),
            cgroup: None,
            shutdown: 0,
            error: 0,
            tcp: None,
            unix: None,
            packet: None,
            netlink: None,
            table: hashed.table,
            slot: hashed.slot,
        };
        match (hashed.table, state) {
            (Table::Connections, TIME_WAIT) => self.time_wait(&mut facts)?,
            (Table::Connections, NEW_SYN_RECV) => self.handshake(&mut facts)?,
            _ => {
                let flags = common.flags.map_or(0, |field| field.get(&record));
                self.full(&mut facts, flags & DEAD != 0)?;
            }
        }
        Some(facts)
    }

    fn addresses(&self, record: &[u8]) -> InetFacts {
        let common = &self.common;
        let v6 = |field: Option<Field>| {
            let bytes = slice(record, field?.offset as usize, 16)?;
            let octets: [u8; 16] = bytes.try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        };
        let v4 = |field: Field| {
            let word = field.get(record) as u32;
            IpAddr::V4(Ipv4Addr::from(word.to_le_bytes()))
        };
        let six = common.family.get(record) == 10;
        let six = six.then(|| v6(common.v6_rcv_saddr).zip(v6(common.v6_daddr)));
        let (local, remote) = six
            .flatten()
            .unwrap_or_else(|| (v4(common.rcv_saddr), v4(common.daddr)));
        InetFacts {
            local,
            local_port: common.num.get(record) as u16,
            remote,
            remote_port: (common.dport.get(record) as u16).swap_bytes(),
            v6_only: common.v6_only.is_some_and(|bit| bit.get(record) != 0),
        }
    }

    fn full(&self, facts: &mut SocketFacts, dead: bool) -> Option<()> {
        let space = &self.kernel.space;
        let record = space.span(facts.address, self.sock.len).ok()?;
        let sock = &self.sock;
        facts.type_number = sock.type_.get(&record);
        facts.type_name = type_name(facts.type_number);
        facts.protocol = sock.protocol.get(&record);
        facts.mark = sock.mark.get(&record);
        facts.shutdown = sock.shutdown.get(&record) & 3;
        facts.error = sock.error.get(&record);
        facts.limits = Some(self.memory(&record));
        self.owned(facts, &record, dead)?;
        facts.cgroup = self.cgroup(&record);
        if let Some(queues) = self.queues(facts, &record) {
            facts.queues = queues;
        }
        facts.skbs = facts.queues.iter().map(|queue| queue.skbs).sum();
        facts.truesize = facts.queues.iter().map(|queue| queue.truesize_bytes).sum();
        self.own_part(facts, &record)?;
        self.counts(facts, &record);
        Some(())
    }

    fn memory(&self, record: &[u8]) -> MemoryFacts {
        let sock = &self.sock;
        let locks = sock.userlocks.get(record);
        let int = |field: Field| u64::from((field.get(record) as u32).cast_signed().max(0) as u32);
        let drops = sock.drop_counters.map(|field| VirtAddr(field.get(record)));
        let drops = drops.filter(|at| !at.is_null()).and_then(|at| {
            // struct numa_drop_counters: a cache line each.
            let first = self.kernel.space.read_u32(at).ok()?;
            let second = self.kernel.space.read_u32(at.plus(64)).ok()?;
            Some(u64::from(first.wrapping_add(second)))
        });
        MemoryFacts {
            rmem_alloc_bytes: int(sock.rmem_alloc),
            forward_deficit_bytes: 0,
            rcvbuf_bytes: int(sock.rcvbuf),
            rcvbuf_locked: locks & RCVBUF_LOCK != 0,
            // It begins with one.
            wmem_alloc_bytes: int(sock.wmem_alloc).saturating_sub(1),
            sndbuf_bytes: int(sock.sndbuf),
            sndbuf_locked: locks & SNDBUF_LOCK != 0,
            forward_alloc_bytes: i64::from((sock.forward_alloc.get(record) as u32).cast_signed()),
            wmem_queued_bytes: int(sock.wmem_queued),
            omem_alloc_bytes: int(sock.omem_alloc),
            backlog_bytes: int(sock.backlog_len),
            drops: drops.unwrap_or_else(|| sock.drops.get(record)),
        }
    }

    fn owned(&self, facts: &mut SocketFacts, record: &[u8], dead: bool) -> Option<()> {
        let socket = VirtAddr(self.sock.socket.get(record));
        let has_children = matches!(
            facts.kind,
            Kind::Tcp | Kind::Unix | Kind::Mptcp | Kind::Sctp
        );
        let owned = if socket.is_null() {
            Owned {
                inode: 0,
                uid: 0,
                held_by: match (dead, has_children) {
                    (false, true) => Holder::NotAccepted,
                    (false, false) => Holder::Kernel,
                    (true, _) => Holder::Orphan,
                },
                owners: Vec::new(),
            }
        } else {
            self.owners.of(socket)?
        };
        facts.inode = owned.inode;
        facts.uid = owned.uid;
        facts.held_by = owned.held_by;
        facts.owners = owned.owners;
        // Where a socket keeps both itself, these are what is printed.
        if let (Some(inode), Some(uid)) = (self.sock.inode, self.sock.uid) {
            facts.inode = inode.get(record);
            facts.uid = uid.get(record);
        }
        Some(())
    }

    fn cgroup(&self, record: &[u8]) -> Option<String> {
        let word = self.sock.cgroup?.get(record);
        // Low bits are marks; the lowest, of a class of cgroup v1 in place of a cgroup.
        let at = VirtAddr(word & !3);
        if word & 1 != 0 || at.is_null() {
            return None;
        }
        let names = self.cgroups.as_ref()?;
        self.named(at, || names.of_cgroup(at))
    }

    /// What one kind has alone.
    fn own_part(&self, facts: &mut SocketFacts, record: &[u8]) -> Option<()> {
        let at = facts.address;
        match facts.kind {
            Kind::Tcp => {
                let read = self.tcp.read(self.kernel, at, &self.sock, record)?;
                facts.timer = read.timer;
                facts.listen = (facts.state_number == LISTEN).then_some(read.listen);
                facts.tcp = Some(Box::new(read.facts));
            }
            Kind::Udp | Kind::UdpLite => {
                if let (Some(field), Some(memory)) = (self.udp.deficit, &mut facts.limits) {
                    let own = self.kernel.space.span(at, self.udp.len).ok()?;
                    memory.forward_deficit_bytes = field.get(&own);
                }
            }
            Kind::Unix => facts.unix = Some(self.unix.as_ref()?.read(self.kernel, at)?),
            Kind::Packet => {
                let packet = self.packet.as_ref()?.read(self.kernel, at)?;
                facts.local = match packet.ifindex {
                    0 => format!("{:04x}:*", packet.protocol),
                    index => format!("{:04x}:if{index}", packet.protocol),
                };
                facts.packet = Some(packet);
            }
            Kind::Netlink => {
                let netlink = self.netlink.as_ref()?.read(self.kernel, at)?;
                facts.local = format!("{}:{}", facts.protocol, netlink.portid);
                facts.netlink = Some(netlink);
            }
            _ => {}
        }
        if facts.kind != Kind::Tcp
            && facts.inet.is_some()
            && let Some(inet) = &mut facts.inet
        {
            let own = self.kernel.space.span(at, self.inet.len).ok()?;
            let port = (self.inet.sport.get(&own) as u16).swap_bytes();
            // A raw socket's number is its protocol.
            if facts.kind != Kind::Raw {
                inet.local_port = port;
            }
            facts.local = endpoint(inet.local, inet.local_port);
        }
        Some(())
    }

    /// What a listening socket of MPTCP is told to have: its first subflow's (`mptcp_diag_get_info`,
    /// net/mptcp/mptcp_diag.c).
    fn first_subflow(&self, at: VirtAddr) -> (u64, u64) {
        let (space, sock) = (&self.kernel.space, &self.sock);
        let first = self.mptcp.as_ref().and_then(|mptcp| {
            let record = space.span(at, mptcp.len).ok()?;
            space
                .span(VirtAddr(mptcp.first.get(&record)), sock.len)
                .ok()
        });
        first.map_or((0, 0), |record| {
            let most = sock.max_ack_backlog.get(&record);
            (sock.ack_backlog.get(&record), most)
        })
    }

    /// Recv-Q and Send-Q of ss.
    fn counts(&self, facts: &mut SocketFacts, record: &[u8]) {
        let Some(memory) = facts.limits else { return };
        let listening = facts.state_number == LISTEN;
        let waiting = self.sock.ack_backlog.get(record);
        let most = self.sock.max_ack_backlog.get(record);
        (facts.recv_q, facts.send_q) = match (&facts.tcp, facts.kind) {
            (Some(_), _) if listening => (waiting, most),
            (Some(tcp), _) => (tcp.rcv_less_copied, tcp.write_seq_less_una),
            (None, Kind::Unix) if listening => {
                let queue = facts.queues.iter().find(|queue| queue.name == "receive");
                (queue.map_or(0, |queue| queue.skbs), most)
            }
            (None, Kind::Unix) => {
                let queue = facts.queues.iter().find(|queue| queue.name == "receive");
                // Of datagrams only the next is told (unix_inq_len, net/unix/af_unix.c).
                let bytes = queue.map_or(0, |queue| match facts.type_number {
                    DGRAM => queue.first_bytes,
                    _ => queue.bytes,
                });
                (bytes, memory.wmem_alloc_bytes)
            }
            (None, Kind::Mptcp) if listening => self.first_subflow(facts.address),
            _ => {
                let deficit = memory.forward_deficit_bytes;
                let unread = memory.rmem_alloc_bytes.saturating_sub(deficit);
                (unread, memory.wmem_alloc_bytes)
            }
        };
        if listening && facts.listen.is_none() {
            facts.listen = Some(super::ListenFacts {
                waiting: facts.recv_q,
                backlog: most,
                handshakes: 0,
                fast_open: 0,
            });
        }
    }
}
