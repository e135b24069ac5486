//! What is known of a socket.

use std::net::IpAddr;

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::partial::End;
use crate::subsys::fs::Opener;

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
#[allow(missing_docs)] // named as the protocols
pub enum Kind {
    Tcp,
    Mptcp,
    Udp,
    UdpLite,
    Raw,
    Ping,
    Sctp,
    Unix,
    Packet,
    Netlink,
    Vsock,
    Xdp,
    Other,
}

impl Kind {
    /// As people and options call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Mptcp => "mptcp",
            Self::Udp => "udp",
            Self::UdpLite => "udplite",
            Self::Raw => "raw",
            Self::Ping => "ping",
            Self::Sctp => "sctp",
            Self::Unix => "unix",
            Self::Packet => "packet",
            Self::Netlink => "netlink",
            Self::Vsock => "vsock",
            Self::Xdp => "xdp",
            Self::Other => "other",
        }
    }
}

/// Where a socket was found first, which is how /proc orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Listeners of TCP.
    Listening,
    /// The hash of connections of TCP.
    Connections,
    /// The table of its family.
    Family,
    /// None: a process has it open.
    Descriptor,
}

/// Addresses of an IPv4 or IPv6 socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InetFacts {
    /// This end.
    pub local: IpAddr,
    /// Its port; a raw socket's protocol.
    pub local_port: u16,
    /// The other end; all zeros if there is none.
    pub remote: IpAddr,
    /// Its port.
    pub remote_port: u16,
    /// IPv6 alone, by IPV6_V6ONLY.
    pub v6_only: bool,
}

/// What lies on one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueFacts {
    /// `receive`, `write`, `retransmit`, `out_of_order`, `backlog`, `error`, `reader`.
    pub name: &'static str,
    /// How many buffers.
    pub skbs: u64,
    /// Their data.
    pub bytes: u64,
    /// That of the first.
    #[serde(skip)]
    pub first_bytes: u64,
    /// What they are charged for.
    pub truesize_bytes: u64,
    /// How the walk ended.
    pub end: End,
}

/// What a socket is charged for, and its limits: bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named as the kernel's members, less sk_
pub struct MemoryFacts {
    pub rmem_alloc_bytes: u64,
    /// What of `rmem_alloc` is read, but not uncharged yet (UDP).
    pub forward_deficit_bytes: u64,
    pub rcvbuf_bytes: u64,
    /// The user fixed it.
    pub rcvbuf_locked: bool,
    pub wmem_alloc_bytes: u64,
    pub sndbuf_bytes: u64,
    /// The user fixed it.
    pub sndbuf_locked: bool,
    pub forward_alloc_bytes: i64,
    pub wmem_queued_bytes: u64,
    pub omem_alloc_bytes: u64,
    pub backlog_bytes: u64,
    pub drops: u64,
}

impl MemoryFacts {
    /// What the protocol's limit on memory counts of it.
    pub fn charged(&self) -> u64 {
        let forward = self.forward_alloc_bytes.max(0).cast_unsigned();
        let sums = [self.wmem_queued_bytes, forward];
        sums.iter()
            .fold(self.rmem_alloc_bytes, |sum, one| sum.saturating_add(*one))
    }
}

/// A timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimerFacts {
    /// `on` (retransmission), `keepalive`, `timewait`, `persist` (zero window), `delack`.
    pub name: &'static str,
    /// Until it ends; negative if that has passed.
    pub milliseconds: i64,
    /// The same in the kernel's ticks.
    #[serde(skip)]
    pub jiffies: i64,
    /// How often it has run out.
    pub retries: u64,
}

/// Who has a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// Processes: `owners`.
    Process,
    /// Nobody any more: it is only being brought to its end.
    Orphan,
    /// Nobody yet: it waits to be accepted.
    NotAccepted,
    /// The protocol by itself, as TIME_WAIT.
    Protocol,
    /// The kernel.
    Kernel,
    /// It has a file, and no process has that open: it is in flight between two, or held by the
    /// kernel.
    NoProcess,
    /// Not all tables of descriptors could be read.
    Unknown,
}

impl Holder {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Orphan => "orphan",
            Self::NotAccepted => "not_accepted",
            Self::Protocol => "protocol",
            Self::Kernel => "kernel",
            Self::NoProcess => "no_process",
            Self::Unknown => "unknown",
        }
    }
}

/// Of a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListenFacts {
    /// Connections that wait to be accepted.
    pub waiting: u64,
    /// More than so many, and new ones are refused.
    pub backlog: u64,
    /// Those whose handshake is not done.
    pub handshakes: u64,
    /// So many may have a Fast Open cookie.
    pub fast_open: u64,
}

impl ListenFacts {
    /// Whether a new connection would be refused (sk_acceptq_is_full).
    pub fn is_full(&self) -> bool {
        self.waiting > self.backlog
    }
}

/// Of a unix socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnixFacts {
    /// Its name as /proc/net/unix shows it, `@` first if it is abstract.
    pub name: Option<String>,
    /// Whom it is connected to.
    pub peer: Option<VirtAddr>,
    /// The inode of that one.
    pub peer_inode: Option<u64>,
    /// Files in flight to it.
    pub fds_in_flight: Option<u64>,
}

/// Of a packet socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PacketFacts {
    /// Of Ethernet.
    pub protocol: u16,
    /// The device; 0: all.
    pub ifindex: u64,
    /// Whether it receives.
    pub running: bool,
    /// Memory of its rings, in bytes.
    pub ring_bytes: u64,
}

/// Of a netlink socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetlinkFacts {
    /// Its address; 0: the kernel's.
    pub portid: u64,
    /// The first 32 groups, a bit each.
    pub groups: u64,
    /// Whether a dump goes on.
    pub dumping: bool,
}

/// One socket.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SocketFacts {
    /// Its `struct sock`, or what stands in place of one.
    pub address: VirtAddr,
    /// Number of its network namespace; `None` if that is on no list.
    pub netns: Option<u32>,
    /// What it is.
    pub kind: Kind,
    /// `inet`, `inet6`, `unix`, ….
    pub family: &'static str,
    /// `stream`, `dgram`, ….
    #[serde(rename = "type")]
    pub type_name: &'static str,
    /// SOCK_STREAM, ….
    #[serde(skip)]
    pub type_number: u64,
    /// Its number within the family.
    pub protocol: u64,
    /// `ESTAB`, `LISTEN`, as ss names it.
    pub state: &'static str,
    /// TCP_ESTABLISHED, ….
    #[serde(skip)]
    pub state_number: u64,
    /// This end, as ss prints it.
    pub local: String,
    /// The other end.
    pub remote: String,
    /// Both ends of IPv4 and IPv6.
    #[serde(skip)]
    pub inet: Option<InetFacts>,
    /// As ss counts: bytes to be read, or connections to be accepted.
    pub recv_q: u64,
    /// Bytes to be sent or acknowledged, or the most connections that may wait.
    pub send_q: u64,
    /// Buffers on all queues.
    pub skbs: u64,
    /// What these are charged for, in bytes.
    pub truesize: u64,
    /// The queues that are not empty.
    pub queues: Vec<QueueFacts>,
    /// `None` in TIME_WAIT and during a handshake.
    pub limits: Option<MemoryFacts>,
    /// The timer that ss shows.
    pub timer: Option<TimerFacts>,
    /// Of a listening socket.
    pub listen: Option<ListenFacts>,
    /// Its inode's number; 0 if it has none.
    pub inode: u64,
    /// Whose it is.
    pub uid: u64,
    /// Who has it.
    pub held_by: Holder,
    /// The processes, as far as they are kept.
    pub owners: Vec<Opener>,
    /// By SO_MARK.
    pub mark: u64,
    /// The device that it is bound to, by number.
    pub bound_ifindex: u64,
    /// The name of that, or of the device that a packet socket looks at.
    pub device: Option<String>,
    /// References to it.
    pub refcount: u64,
    /// A number that no other socket has had, if it was asked for.
    pub cookie: Option<u64>,
    /// Path of its cgroup.
    pub cgroup: Option<String>,
    /// Which directions are shut: 1 receiving, 2 sending.
    pub shutdown: u64,
    /// Its own error, as errno.
    pub error: u64,
    /// What TCP alone has.
    pub tcp: Option<Box<super::tcp::TcpFacts>>,
    /// What AF_UNIX alone has.
    pub unix: Option<UnixFacts>,
    /// What AF_PACKET alone has.
    pub packet: Option<PacketFacts>,
    /// What AF_NETLINK alone has.
    pub netlink: Option<NetlinkFacts>,
    /// Where it was found.
    #[serde(skip)]
    pub table: Table,
    /// The bucket there.
    #[serde(skip)]
    pub slot: u64,
}

impl SocketFacts {
    /// Memory that goes with it, by the kernel's own charges: rings and the data that others were
    /// charged for are in it.
    pub fn memory_bytes(&self) -> u64 {
        let charged = self.limits.as_ref().map_or(0, MemoryFacts::charged);
        let rings = self.packet.as_ref().map_or(0, |packet| packet.ring_bytes);
        charged.max(self.truesize).saturating_add(rings)
    }
}
