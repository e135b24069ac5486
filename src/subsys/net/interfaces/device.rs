//! Devices and their counters (include/linux/netdevice.h, dev_get_stats() of net/core/dev.c).

use serde::Serialize;

use super::addresses::{AddressFacts, AddressReader};
use super::napi::{NapiFacts, NapiReader};
use super::qdiscs::{QdiscFacts, QdiscReader};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/netdevice.h
    pub(super) struct NetDeviceLayout = "net_device" in "net/core/dev.c" {
        need name = "name",
        need ifindex = "ifindex",
        need list = "dev_list",
        need mtu = "mtu",
        need flags = "flags",
        need type_ = "type",
        need operstate = "operstate",
        need address = "dev_addr",
        need address_len = "addr_len",
        need link_operations = "rtnl_link_ops",
        need operations = "netdev_ops",
        need stats = "stats",
        /// A union of three pointers to what each CPU counts.
        maybe per_cpu = "lstats" | "tstats",
        /// 6.7 and later (commit 34d21de99cea).
        maybe per_cpu_kind = "pcpu_stat_type",
        /// 5.18 and later (commit 625788b58445).
        maybe core_stats = "core_stats",
        /// Up to 5.17, in the device itself.
        maybe rx_dropped = "rx_dropped.counter",
        maybe tx_dropped = "tx_dropped.counter",
        need ipv4 = "ip_ptr",
        maybe ipv6 = "ip6_ptr",
        need qdisc = "qdisc",
        maybe qdisc_hash = "qdisc_hash",
        need napi = "napi_list",
        /// 6.10 and later; before, behind the structure.
        maybe private = "priv",
    }
}

layout! {
    /// include/linux/netdevice.h
    struct OperationsLayout = "net_device_ops" in "net/core/dev.c" {
        need stats64 = "ndo_get_stats64",
        need stats = "ndo_get_stats",
    }
}

layout! {
    /// include/net/rtnetlink.h
    struct LinkLayout = "rtnl_link_ops" in "net/core/rtnetlink.c" {
        need kind = "kind",
    }
}

layout! {
    /// include/linux/netdevice.h
    struct NetDeviceListLayout = "net" in "net/core/net_namespace.c" {
        need devices = "dev_base_head",
        /// 6.6 and later (commit 759ab1edb56c).
        maybe by_index = "dev_by_index",
    }
}

layout! {
    /// include/linux/netdevice.h
    struct CoreStatsLayout = "net_device_core_stats" in "net/core/dev.c" {
        need rx_dropped = "rx_dropped",
        need tx_dropped = "tx_dropped",
    }
}

/// More devices than any namespace has.
const MAX_DEVICES: u64 = 1 << 20;
/// IFF_LOOPBACK.
const LOOPBACK: u64 = 8;
/// NETDEV_PCPU_STAT_TSTATS and DSTATS of enum netdev_stat_type.
const TSTATS: u64 = 2;
const DSTATS: u64 = 3;
/// MAX_ADDR_LEN.
const MAX_ADDRESS: u64 = 32;
/// NETDEV_ALIGN.
const ALIGN: usize = 32;
/// NETDEV_HASHENTRIES.
const BUCKETS: u32 = 256;

/// Counters, in the order of `struct net_device_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // named as the kernel's
pub struct Statistics {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub multicast: u64,
    pub collisions: u64,
    /// rx_length_errors, rx_over_errors, rx_crc_errors, rx_frame_errors.
    pub rx_frame_errors: u64,
    pub rx_fifo_errors: u64,
    pub rx_missed_errors: u64,
    /// tx_aborted_errors, tx_carrier_errors, tx_window_errors, tx_heartbeat_errors.
    pub tx_carrier_errors: u64,
    pub tx_fifo_errors: u64,
    pub rx_compressed: u64,
    pub tx_compressed: u64,
}

impl Statistics {
    /// Of the words of `struct net_device_stats`.
    fn of(record: &[u8]) -> Self {
        let word = |index: usize| u64_at(record, index * 8).unwrap_or(0);
        let sum = |words: [usize; 4]| words.into_iter().map(word).fold(0, u64::wrapping_add);
        Self {
            rx_packets: word(0),
            tx_packets: word(1),
            rx_bytes: word(2),
            tx_bytes: word(3),
            rx_errors: word(4),
            tx_errors: word(5),
            rx_dropped: word(6),
            tx_dropped: word(7),
            multicast: word(8),
            collisions: word(9),
            rx_frame_errors: sum([10, 11, 12, 13]),
            rx_fifo_errors: word(14),
            rx_missed_errors: word(15),
            tx_carrier_errors: sum([16, 17, 19, 20]),
            tx_fifo_errors: word(18),
            rx_compressed: word(21),
            tx_compressed: word(22),
        }
    }
}

/// One device.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DeviceFacts {
    /// Its `struct net_device`.
    pub address: VirtAddr,
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u64,
    /// `veth`, `bridge`, …; `None` of hardware and of lo.
    pub kind: Option<String>,
    /// Of ARPHRD_ETHER, ….
    #[serde(skip)]
    pub hardware: u64,
    /// Its hardware address.
    pub mac: String,
    /// Bytes of the largest packet.
    pub mtu: u64,
    /// IFF_UP, ….
    pub flags: u64,
    /// `up`, `down`, ….
    pub state: &'static str,
    /// Its addresses.
    pub addresses: Vec<AddressFacts>,
    /// Its counters; `None` if its driver keeps them in a way not known.
    pub statistics: Option<Statistics>,
    /// Its queues.
    pub qdiscs: Vec<QdiscFacts>,
    /// Who polls its hardware's queues, by number.
    pub napi: Vec<NapiFacts>,
}

pub(super) struct DeviceReader<'k> {
    kernel: &'k Kernel,
    device: NetDeviceLayout,
    operations: OperationsLayout,
    link: LinkLayout,
    net: NetDeviceListLayout,
    core: Option<CoreStatsLayout>,
    addresses: AddressReader<'k>,
    qdiscs: QdiscReader<'k>,
    napi: NapiReader<'k>,
    cpus: Cpus,
}

impl<'k> DeviceReader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            device: kernel.layout()?,
            operations: kernel.layout()?,
            link: kernel.layout()?,
            net: kernel.layout()?,
            core: kernel.layout().ok(),
            addresses: AddressReader::new(kernel)?,
            qdiscs: QdiscReader::new(kernel)?,
            napi: NapiReader::new(kernel)?,
            cpus: Cpus::read(kernel)?,
            kernel,
        })
    }

    /// The devices of the namespace at `net`, and whether all could be read.
    pub(super) fn devices(&self, net: VirtAddr) -> (Vec<DeviceFacts>, bool) {
        let head = net.plus(u64::from(self.net.devices.offset));
        let list = walk::list(&self.kernel.space, head, MAX_DEVICES);
        let offset = u64::from(self.device.list.offset);
        let devices = list.value.iter().map(|link| self.one(link.minus(offset)));
        let mut devices: Vec<DeviceFacts> = devices.flatten().collect();
        let whole = list.end.is_complete() && devices.len() == list.value.len();
        // /proc/net/dev goes by a hash of the numbers, of which the last in a bucket comes first,
        // and since there is an index by number, by that.
        match self.net.by_index {
            Some(_) => devices.sort_by_key(|one| one.ifindex),
            None => devices.sort_by_key(|one| {
                let index = one.ifindex as u32;
                (index % BUCKETS, std::cmp::Reverse(index))
            }),
        }
        (devices, whole)
    }

    fn one(&self, at: VirtAddr) -> Option<DeviceFacts> {
        let space = &self.kernel.space;
        let layout = &self.device;
        let record = space.read_bytes(at, layout.struct_size.min(1 << 16)).ok()?;
        let start = layout.name.offset as usize;
        let name = record.get(start..start + layout.name.size as usize)?;
        let kind = VirtAddr(layout.link_operations.get(&record));
        let kind = match kind.is_null() {
            true => None,
            false => {
                let name = space.read_ptr(kind.plus(u64::from(self.link.kind.offset)));
                name.and_then(|at| space.read_c_string(at, 32)).ok()
            }
        };
        let mac = VirtAddr(layout.address.get(&record));
        let len = layout.address_len.get(&record).min(MAX_ADDRESS) as usize;
        let mac = space.read_bytes(mac, len).ok()?;
        let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(DeviceFacts {
            address: at,
            name: c_string(name),
            ifindex: layout.ifindex.get(&record),
            statistics: self.statistics(at, &record, kind.as_deref()),
            kind,
            hardware: layout.type_.get(&record),
            mac: mac.join(":"),
            mtu: layout.mtu.get(&record),
            flags: layout.flags.get(&record),
            state: state(layout.operstate.get(&record)),
            addresses: self.addresses.of(
                VirtAddr(layout.ipv4.get(&record)),
                layout.ipv6.map(|field| VirtAddr(field.get(&record))),
            )?,
            qdiscs: self.qdiscs.of(at, layout, &record)?,
            napi: self.napi(at)?,
        })
    }

    /// `None` if some are missing. Packets on them are looked for, so that they are not left out.
    fn napi(&self, at: VirtAddr) -> Option<Vec<NapiFacts>> {
        let head = at.plus(u64::from(self.device.napi.offset));
        let (found, whole) = self.napi.of_device(head);
        whole.then_some(found)
    }

    /// `None` where only the driver knows.
    fn statistics(&self, at: VirtAddr, record: &[u8], kind: Option<&str>) -> Option<Statistics> {
        let layout = &self.device;
        let mut found = self.base(at, record, kind)?;
        let atomic = |field: Option<Field>| field.map_or(0, |field| field.get(record));
        found.rx_dropped = found.rx_dropped.wrapping_add(atomic(layout.rx_dropped));
        found.tx_dropped = found.tx_dropped.wrapping_add(atomic(layout.tx_dropped));
        let core = layout.core_stats.map(|field| VirtAddr(field.get(record)));
        if let (Some(core), Some(own)) = (core.filter(|at| !at.is_null()), &self.core) {
            let word = |field: Field| self.sum(core.plus(u64::from(field.offset)));
            found.rx_dropped = found.rx_dropped.wrapping_add(word(own.rx_dropped)?);
            found.tx_dropped = found.tx_dropped.wrapping_add(word(own.tx_dropped)?);
        }
        Some(found)
    }

    fn base(&self, at: VirtAddr, record: &[u8], kind: Option<&str>) -> Option<Statistics> {
        let layout = &self.device;
        let per_cpu = layout.per_cpu.map(|field| VirtAddr(field.get(record)));
        let per_cpu = per_cpu.filter(|at| !at.is_null());
        let word = |index: u64| self.sum(per_cpu?.plus(index * 8));
        let stats = record.get(layout.stats.offset as usize..)?;
        let mut found = Statistics::of(stats);
        let operations = VirtAddr(layout.operations.get(record));
        let operations = self
            .kernel
            .space
            .read_bytes(operations, self.operations.len);
        let operations = operations.ok()?;
        let own = self.operations.stats64.get(&operations) != 0
            || self.operations.stats.get(&operations) != 0;
        let kind_of_stats = layout.per_cpu_kind.map_or(0, |field| field.get(record));
        if layout.flags.get(record) & LOOPBACK != 0 {
            (found.rx_packets, found.rx_bytes) = (word(0)?, word(1)?);
            (found.tx_packets, found.tx_bytes) = (word(0)?, word(1)?);
        } else if kind == Some("veth") {
            self.veth(at, record, kind_of_stats, &mut found)?;
        } else if kind == Some("dummy") {
            (found.tx_packets, found.tx_bytes) = (word(0)?, word(1)?);
        } else if matches!(kind_of_stats, TSTATS | DSTATS) {
            // Virtual devices: what they count on each CPU, in words of 64 bits.
            found.rx_packets = found.rx_packets.wrapping_add(word(0)?);
            found.rx_bytes = found.rx_bytes.wrapping_add(word(1)?);
            let tx = if kind_of_stats == TSTATS { 2 } else { 3 };
            found.tx_packets = found.tx_packets.wrapping_add(word(tx)?);
            found.tx_bytes = found.tx_bytes.wrapping_add(word(tx + 1)?);
        } else if own {
            return None;
        }
        Some(found)
    }

    /// A veth counts what it sends; what it receives is what its peer sent (veth_get_stats64() of
    /// drivers/net/veth.c). Its private area begins with the peer and the packets it dropped.
    fn veth(&self, at: VirtAddr, record: &[u8], kind: u64, found: &mut Statistics) -> Option<()> {
        let layout = &self.device;
        let space = &self.kernel.space;
        // Two words: packets and bytes sent; with TSTATS behind those received.
        let sent = |percpu: VirtAddr| {
            let first = if kind == TSTATS { 2 } else { 0 };
            let word = |index: u64| self.sum(percpu.plus(index * 8));
            Some((word(first)?, word(first + 1)?))
        };
        let own = VirtAddr(layout.per_cpu?.get(record));
        (found.tx_packets, found.tx_bytes) = sent(own)?;
        let private = match layout.private {
            Some(field) => u64::from(field.offset),
            None => layout.struct_size.next_multiple_of(ALIGN) as u64,
        };
        let private = at.plus(private);
        let dropped = space.read_u64(private.plus(8)).ok()?;
        found.tx_dropped = found.tx_dropped.wrapping_add(dropped);
        let peer = space.read_ptr(private).ok()?;
        if !peer.is_null() {
            let percpu = peer.plus(u64::from(layout.per_cpu?.offset));
            let percpu = space.read_ptr(percpu).ok()?;
            (found.rx_packets, found.rx_bytes) = sent(percpu)?;
        }
        Some(())
    }

    /// A word over all possible CPUs.
    fn sum(&self, percpu: VirtAddr) -> Option<u64> {
        let mut all = self.cpus.instances(percpu);
        all.try_fold(0u64, |sum, (_, at)| {
            Some(sum.wrapping_add(self.kernel.space.read_u64(at).ok()?))
        })
    }
}

/// IF_OPER_… of include/uapi/linux/if.h.
fn state(number: u64) -> &'static str {
    match number {
        1 => "not present",
        2 => "down",
        3 => "lower layer down",
        4 => "testing",
        5 => "dormant",
        6 => "up",
        _ => "unknown",
    }
}
