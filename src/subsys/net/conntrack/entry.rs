//! One connection: `struct nf_conn` with its extensions.

use super::Symbols;
use super::ext::{ExtReader, Extensions};
use super::layouts::{ConnLayout, TupleHashLayout, TupleLayout};
use super::named;
use super::netns::Namespace;
use super::state::{self, status};
use super::tuple::{Tuple, proto};
use crate::addr::VirtAddr;
use crate::bytes::{slice, u64_at};
use crate::kernel::{Kernel, KernelError};
use crate::space::MemFault;
use crate::subsys::clock::Clock;

/// Which list holds a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum List {
    /// The hash table.
    Hash,
    /// A CPU's list of those not confirmed yet (up to 5.18).
    Unconfirmed,
    /// A list of those that wait for their destroy event.
    Dying,
    /// None: allocated, but found nowhere.
    Unlinked,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of `struct nf_conn`.
    pub address: VirtAddr,
    /// Its namespace: index into the table's; `None` if that is not on the kernel's list.
    pub netns: Option<usize>,
    /// `ct_net`.
    pub net: VirtAddr,
    /// Original and reply direction.
    pub tuples: [Tuple; 2],
    /// Whether this kernel was built to track the protocol by more than addresses. If not, its
    /// own listings call it unknown.
    pub known_protocol: bool,
    /// Whether /proc/net/nf_conntrack has a name for the protocol.
    pub named: bool,
    /// `IPS_*` bits.
    pub status: u64,
    /// The raw time stamp: jiffies when it expires, or how many it will get while unconfirmed.
    pub timeout: u32,
    /// Jiffies left; negative if it has expired.
    pub jiffies_left: i64,
    /// Whether a timer of its own takes it away (up to 4.7): then nothing is hidden before.
    pub by_timer: bool,
    /// Seconds left, 0 if it has expired.
    pub seconds_left: u64,
    /// Seconds that a timer is late: its kernel prints them as a negative time.
    pub seconds_late: u64,
    /// The protocol's state.
    pub state: Option<&'static str>,
    /// GRE's own timeouts in seconds.
    pub gre: Option<(u64, u64)>,
    /// The mark, in kernels that have marks.
    pub mark: Option<u32>,
    /// The security mark, in kernels that have them.
    pub secmark: Option<u32>,
    /// Zone and the directions that it holds for (1 original, 2 reply, 3 both).
    pub zone: Option<(u16, u8)>,
    /// References.
    pub refs: u32,
    /// The connection that expected this one.
    pub master: VirtAddr,
    /// `nf_conn.ext`.
    pub ext_address: VirtAddr,
    /// Extensions.
    pub ext: Extensions,
    /// Which list holds it.
    pub list: List,
}

impl Entry {
    /// Whether a status bit is set.
    pub fn is(&self, bit: u64) -> bool {
        self.status & bit != 0
    }

    /// Whether its time is over (`nf_ct_is_expired`).
    pub fn expired(&self) -> bool {
        self.jiffies_left <= 0
    }

    /// Whether the kernel's own listings leave it out: they collect what has expired instead
    /// (`nf_ct_should_gc`).
    pub fn hidden_from_proc(&self) -> bool {
        !self.by_timer && self.expired() && self.is(status::CONFIRMED) && !self.is(status::DYING)
    }
}

/// Reads connections.
#[derive(Debug)]
pub(crate) struct EntryReader {
    pub(crate) conn: ConnLayout,
    pub(crate) hash: TupleHashLayout,
    pub(crate) tuple: TupleLayout,
    pub(crate) ext: ExtReader,
    pub(crate) clock: Clock,
    protocols: Vec<u8>,
    nameless: Vec<u8>,
}

/// Protocols with a configuration option of their own, and the symbol that is there with it: up to
/// 4.19 one of IPv4 and one of IPv6.
const OPTIONAL: [(u8, [&str; 2]); 4] = [
    (
        proto::DCCP,
        ["nf_conntrack_l4proto_dccp", "nf_conntrack_l4proto_dccp4"],
    ),
    (
        proto::GRE,
        ["nf_conntrack_l4proto_gre", "nf_conntrack_l4proto_gre4"],
    ),
    (
        proto::SCTP,
        ["nf_conntrack_l4proto_sctp", "nf_conntrack_l4proto_sctp4"],
    ),
    (
        proto::UDPLITE,
        [
            "nf_conntrack_l4proto_udplite",
            "nf_conntrack_l4proto_udplite4",
        ],
    ),
];

impl EntryReader {
    pub(crate) fn new(
        kernel: &Kernel,
        symbols: &dyn Symbols,
        clock: Clock,
    ) -> Result<Self, KernelError> {
        let optional = OPTIONAL
            .iter()
            .filter(|(_, names)| names.iter().any(|name| symbols.address(name).is_some()))
            .map(|(number, _)| *number);
        let always = [proto::ICMP, proto::TCP, proto::UDP, proto::ICMPV6];
        Ok(Self {
            protocols: always.into_iter().chain(optional).collect(),
            nameless: named::nameless(symbols),
            conn: kernel.layout()?,
            hash: kernel.layout()?,
            tuple: kernel.layout()?,
            ext: ExtReader::new(kernel)?,
            clock,
        })
    }

    /// Offset in `struct nf_conn` of a direction's hash node.
    pub(crate) fn node_offset(&self, direction: usize) -> u64 {
        u64::from(self.conn.tuplehash.offset)
            + (direction * self.hash.struct_size) as u64
            + u64::from(self.hash.hnnode.offset)
    }

    /// The next node behind the one at `node`, and the direction that `node` is of.
    pub(crate) fn node(&self, kernel: &Kernel, node: VirtAddr) -> Result<(VirtAddr, u8), MemFault> {
        let hash = node.minus(u64::from(self.hash.hnnode.offset));
        let record = kernel.space.span(hash, self.hash.struct_size)?;
        Ok(self.parse_node(&record))
    }

    /// The same, of a `struct nf_conntrack_tuple_hash` whose bytes are `record`.
    pub(super) fn parse_node(&self, record: &[u8]) -> (VirtAddr, u8) {
        let next = u64_at(record, self.hash.hnnode.offset as usize).unwrap_or(0);
        let at = self.hash.tuple.offset as usize;
        let tuple = slice(record, at, self.tuple.struct_size).unwrap_or_default();
        (VirtAddr(next), self.tuple.dir.get(tuple) as u8)
    }

    /// The connection at `address`. One whose extensions can't be read is given without them.
    pub(crate) fn read(
        &self,
        kernel: &Kernel,
        namespaces: &[Namespace],
        address: VirtAddr,
        list: List,
    ) -> Result<Entry, MemFault> {
        let record = kernel.space.span(address, self.conn.struct_size)?;
        let ext = VirtAddr(self.conn.ext.get(&record));
        let mut block = Vec::new();
        let loaded = self.ext.load(&kernel.space, ext, &mut block);
        let block = loaded.is_ok().then_some(block.as_slice());
        Ok(self.parse(kernel, namespaces, (address, list), &record, block))
    }

    /// The connection that is `at` an address on a list, whose bytes are `record` and those of its
    /// extensions `block`, if they can be had.
    pub(super) fn parse(
        &self,
        kernel: &Kernel,
        namespaces: &[Namespace],
        at: (VirtAddr, List),
        record: &[u8],
        block: Option<&[u8]>,
    ) -> Entry {
        let (address, list) = at;
        let conn = &self.conn;
        let tuple = |direction: usize| {
            let at = conn.tuplehash.offset as usize
                + direction * self.hash.struct_size
                + self.hash.tuple.offset as usize;
            let bytes = slice(record, at, self.tuple.struct_size).unwrap_or_default();
            Tuple::read(&self.tuple, bytes)
        };
        let tuples = [tuple(0), tuple(1)];
        let l4num = tuples[0].l4num;
        let known_protocol = self.protocols.contains(&l4num);
        let state = match l4num {
            _ if !known_protocol => None,
            proto::TCP => conn.tcp_state,
            proto::SCTP => conn.sctp_state,
            proto::DCCP => conn.dccp_state,
            _ => None,
        };
        let seconds = |field: crate::kernel::layout::Field| field.get(record) / self.clock.hz;
        let gre = conn
            .gre_timeout
            .zip(conn.gre_stream_timeout)
            .filter(|_| l4num == proto::GRE && known_protocol)
            .map(|(timeout, stream)| (seconds(timeout), seconds(stream)));
        let status = conn.status.get(record);
        let timeout = conn.timeout.get(record) as u32;
        // While it is unconfirmed the field holds how long it will live.
        let link = conn.timer_link.map(|link| link.get(record));
        let jiffies_left = match link {
            Some(0) => 0,
            _ if status & status::CONFIRMED != 0 => self.clock.until(timeout),
            _ => i64::from(timeout),
        };
        let net = VirtAddr(conn.net.get(record));
        let ext_address = VirtAddr(conn.ext.get(record));
        let ext = block.and_then(|block| self.ext.parse(kernel, block));
        let ext = ext.unwrap_or_else(Extensions::lost);
        Entry {
            address,
            netns: namespaces.iter().position(|ns| ns.address == net),
            net,
            tuples,
            known_protocol,
            named: known_protocol && !self.nameless.contains(&l4num),
            status,
            timeout,
            jiffies_left,
            by_timer: link.is_some(),
            seconds_left: jiffies_left.max(0).unsigned_abs() / self.clock.hz,
            seconds_late: match link {
                Some(_) => jiffies_left.min(0).unsigned_abs() / self.clock.hz,
                None => 0,
            },
            state: state.and_then(|field| state::name(l4num, field.get(record))),
            gre,
            mark: conn.mark.map(|field| field.get(record) as u32),
            secmark: conn.secmark.map(|field| field.get(record) as u32),
            zone: conn
                .zone
                .map(|zone| {
                    let dir = conn.zone_dir.map_or(3, |dir| dir.get(record) as u8);
                    (zone.get(record) as u16, dir)
                })
                .or(ext.zone)
                .or(self.ext.has_zones().then_some((0, 3))),
            refs: conn.refs.get(record) as u32,
            master: VirtAddr(conn.master.get(record)),
            ext_address,
            ext,
            list,
        }
    }
}
