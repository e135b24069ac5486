//! Files of /proc/net to the letter: tcp, udp, raw, unix, packet, netlink, sockstat, protocols.

use std::io::{self, Write};
use std::net::IpAddr;

use crate::addr::VirtAddr;
use crate::report::sockets::SocketsReport;
use crate::subsys::net::sockets::counters::NamespaceCounters;
use crate::subsys::net::sockets::{InetFacts, Kind, MemoryFacts, SocketFacts, Table};

/// Of which namespace a file is, and how pointers come out.
pub struct View<'v> {
    /// All that there is.
    pub report: &'v SocketsReport,
    /// The namespace.
    pub inum: u32,
    /// A pointer as the kernel prints it.
    pub pointer: &'v dyn Fn(VirtAddr) -> String,
    /// The heading of the file is as newer kernels have it: that of packet has room for whole
    /// pointers, that of udp begins with one blank more.
    pub newer_heading: bool,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("inum", &self.inum)
            .finish_non_exhaustive()
    }
}

/// The files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named as they are
pub enum File {
    Tcp,
    Tcp6,
    Udp,
    Udp6,
    UdpLite,
    UdpLite6,
    Raw,
    Raw6,
    Unix,
    Packet,
    Netlink,
    Sockstat,
    Sockstat6,
    Protocols,
}

const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
const RAW: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const UDP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
const UNIX: &str = "Num       RefCount Protocol Flags    Type St Inode Path";
const NETLINK: &str =
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode";
const PROTOCOLS: &str = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re ";
/// To which the lines of the files of IPv4 are filled (TMPSZ, and that of UDP).
const TCP_WIDTH: usize = 149;
const UDP_WIDTH: usize = 127;
/// TCP_LISTEN and TCP_ESTABLISHED.
const LISTEN: u64 = 10;
const ESTABLISHED: u64 = 1;

/// Writes one file.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut dyn Write, view: &View<'_>, file: File) -> io::Result<()> {
    match file {
        File::Tcp => tcp(out, view, false),
        File::Tcp6 => tcp(out, view, true),
        File::Udp => datagrams(out, view, Kind::Udp, false),
        File::Udp6 => datagrams(out, view, Kind::Udp, true),
        File::UdpLite => datagrams(out, view, Kind::UdpLite, false),
        File::UdpLite6 => datagrams(out, view, Kind::UdpLite, true),
        File::Raw => datagrams(out, view, Kind::Raw, false),
        File::Raw6 => datagrams(out, view, Kind::Raw, true),
        File::Unix => unix(out, view),
        File::Packet => packet(out, view),
        File::Netlink => netlink(out, view),
        File::Sockstat => super::counters::sockstat(out, view),
        File::Sockstat6 => super::counters::sockstat6(out, view),
        File::Protocols => protocols(out, view),
    }
}

impl View<'_> {
    /// What the namespace counts.
    pub(super) fn namespace(&self) -> Option<&NamespaceCounters> {
        let all = &self.report.counters.namespaces;
        all.iter().find(|net| net.inum == self.inum)
    }

    /// Those of a kind that hang in a table, which the kernel's files list.
    fn sockets(&self, kind: Kind, family: &'static str) -> impl Iterator<Item = &SocketFacts> {
        let all = self.report.sockets.iter();
        all.filter(move |socket| {
            socket.kind == kind
                && socket.family == family
                && socket.netns == Some(self.inum)
                && socket.table != Table::Descriptor
        })
    }

    /// Ticks of the kernel's as USER_HZ of a second, from zero up (jiffies_delta_to_clock_t).
    fn clock(&self, jiffies: i64) -> u64 {
        let nanoseconds = 1_000_000_000 / self.report.hz.max(1);
        let ticks = jiffies.max(0).cast_unsigned();
        ticks.saturating_mul(nanoseconds) / 10_000_000
    }
}

fn family(six: bool) -> &'static str {
    if six { "inet6" } else { "inet" }
}

/// A line, filled with blanks to `width` if it is not zero.
fn line(out: &mut dyn Write, text: &str, width: usize) -> io::Result<()> {
    writeln!(out, "{text:<width$}")
}

/// Words of the address in the order in which they lie in memory, read as the machine's own.
fn address(address: IpAddr) -> String {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (words, _) = octets.as_chunks::<4>();
    let words = words.iter().map(|word| u32::from_le_bytes(*word));
    words.map(|word| format!("{word:08X}")).collect()
}

fn ends(inet: &InetFacts) -> String {
    format!(
        "{}:{:04X} {}:{:04X}",
        address(inet.local),
        inet.local_port,
        address(inet.remote),
        inet.remote_port
    )
}

fn tcp(out: &mut dyn Write, view: &View<'_>, six: bool) -> io::Result<()> {
    let (head, width) = if six { (TCP6, 0) } else { (TCP, TCP_WIDTH) };
    line(out, head, width)?;
    for (number, socket) in view.sockets(Kind::Tcp, family(six)).enumerate() {
        let Some(inet) = &socket.inet else { continue };
        let timer = socket.timer;
        let when = timer.map_or(0, |timer| view.clock(timer.jiffies));
        let (mut timer_number, mut when) = match timer.map(|timer| timer.name) {
            Some("on") => (1, when),
            Some("keepalive") => (2, when),
            Some("timewait") => (3, when),
            Some("persist") => (4, when),
            _ => (0, 0),
        };
        let ends = ends(inet);
        let state = socket.state_number;
        let pointer = (view.pointer)(socket.address);
        let refcount = socket.refcount;
        let Some(tcp) = &socket.tcp else {
            let retries = timer.map_or(0, |timer| timer.retries);
            // The two print the user in different ways, which is the same up to five digits.
            let text = format!(
                "{number:4}: {ends} {state:02X} 00000000:00000000 {timer_number:02X}:{when:08X} {retries:08X} {:5} {:8} 0 {refcount} {pointer}",
                socket.uid, 0
            );
            line(out, &text, width)?;
            continue;
        };
        if timer.is_some_and(|timer| timer.name == "delack") {
            (timer_number, when) = (0, 0);
        }
        let received = if state == LISTEN {
            socket.recv_q
        } else {
            tcp.rcv_less_copied
        };
        let threshold = match state == LISTEN {
            true => tcp.fast_open_max.to_string(),
            false => tcp
                .snd_ssthresh
                .map_or("-1".to_owned(), |one| one.to_string()),
        };
        let text = format!(
            "{number:4}: {ends} {state:02X} {:08X}:{received:08X} {timer_number:02X}:{when:08X} {:08X} {:5} {:8} {} {refcount} {pointer} {} {} {} {} {threshold}",
            tcp.write_seq_less_una,
            tcp.retransmits,
            socket.uid,
            tcp.probes_out,
            socket.inode,
            view.clock(tcp.rto.cast_signed()),
            view.clock(tcp.ato.cast_signed()),
            tcp.quick << 1 | u64::from(tcp.pingpong > 0),
            tcp.snd_cwnd,
        );
        line(out, &text, width)?;
    }
    Ok(())
}

fn datagrams(out: &mut dyn Write, view: &View<'_>, kind: Kind, six: bool) -> io::Result<()> {
    let raw = kind == Kind::Raw;
    let (head, width) = match (six, raw) {
        (true, _) => (UDP6, 0),
        (false, true) => (RAW, 0),
        (false, false) => (UDP, UDP_WIDTH),
    };
    let head = match head.strip_prefix(' ') {
        Some(older) if head == UDP && !view.newer_heading => older,
        _ => head,
    };
    line(out, head, width)?;
    let room = if raw && !six { 4 } else { 5 };
    for socket in view.sockets(kind, family(six)) {
        let (Some(inet), Some(memory)) = (&socket.inet, &socket.limits) else {
            continue;
        };
        let unread = memory.rmem_alloc_bytes;
        let unread = unread.saturating_sub(memory.forward_deficit_bytes);
        let text = format!(
            "{:room$}: {} {:02X} {:08X}:{unread:08X} 00:00000000 00000000 {:5} {:8} {} {} {} {}",
            socket.slot,
            ends(inet),
            socket.state_number,
            memory.wmem_alloc_bytes,
            socket.uid,
            0,
            socket.inode,
            socket.refcount,
            (view.pointer)(socket.address),
            memory.drops,
        );
        line(out, &text, width)?;
    }
    Ok(())
}

fn unix(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    writeln!(out, "{UNIX}")?;
    for socket in view.sockets(Kind::Unix, "unix") {
        let connected = socket.state_number == ESTABLISHED;
        // SS_CONNECTED, ... of include/uapi/linux/net.h.
        let state = match (socket.inode != 0, connected) {
            (true, true) => 3,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 4,
        };
        // __SO_ACCEPTCON.
        let flags = if socket.state_number == LISTEN {
            0x10000
        } else {
            0
        };
        write!(
            out,
            "{}: {:08X} 00000000 {flags:08X} {:04X} {state:02X} {:5}",
            (view.pointer)(socket.address),
            socket.refcount,
            socket.type_number,
            socket.inode
        )?;
        match socket.unix.as_ref().and_then(|unix| unix.name.as_deref()) {
            Some(name) => writeln!(out, " {}", crate::render::printable(name))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn packet(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let width = if view.newer_heading { 17 } else { 9 };
    writeln!(
        out,
        "{:<width$}RefCnt Type Proto  Iface R Rmem   User   Inode",
        "sk"
    )?;
    for socket in view.sockets(Kind::Packet, "packet") {
        let (Some(packet), Some(memory)) = (&socket.packet, &socket.limits) else {
            continue;
        };
        writeln!(
            out,
            "{} {:<6} {:<4} {:04x}   {:<5} {} {:<6} {:<6} {:<6}",
            (view.pointer)(socket.address),
            socket.refcount,
            socket.type_number,
            packet.protocol,
            packet.ifindex,
            u8::from(packet.running),
            memory.rmem_alloc_bytes,
            socket.uid,
            socket.inode
        )?;
    }
    Ok(())
}

fn netlink(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    writeln!(out, "{NETLINK}")?;
    for socket in view.sockets(Kind::Netlink, "netlink") {
        let (Some(netlink), Some(memory)) = (&socket.netlink, &socket.limits) else {
            continue;
        };
        let MemoryFacts {
            rmem_alloc_bytes,
            wmem_alloc_bytes,
            drops,
            ..
        } = memory;
        writeln!(
            out,
            "{} {:<3} {:<10} {:08x} {rmem_alloc_bytes:<8} {wmem_alloc_bytes:<8} {:<5} {:<8} {drops:<8} {:<8}",
            (view.pointer)(socket.address),
            socket.protocol,
            netlink.portid,
            netlink.groups,
            u8::from(netlink.dumping),
            socket.refcount,
            socket.inode
        )?;
    }
    Ok(())
}

/// A number, or `-` where it is not known.
pub(super) fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn protocols(out: &mut dyn Write, view: &View<'_>) -> io::Result<()> {
    let counters = &view.report.counters;
    let sendpage = if counters.sendpage { "sp " } else { "" };
    writeln!(out, "{PROTOCOLS}{sendpage}bi br ha uh gp em")?;
    for protocol in &counters.protocols {
        let sockets = view
            .namespace()
            .and_then(|net| counters.in_use(net, protocol));
        let sockets = known(sockets);
        write!(
            out,
            "{:<9} {:4} {sockets:>6}  {:6}   {:<3} {:6}   {:<3}  {:<10} ",
            protocol.name,
            protocol.object_bytes,
            protocol.memory_pages.unwrap_or(-1),
            match protocol.pressure {
                Some(true) => "yes",
                Some(false) => "no",
                None => "NI",
            },
            protocol.max_header,
            if protocol.slab { "yes" } else { "no" },
            protocol.module.as_deref().unwrap_or("kernel"),
        )?;
        let all = protocol.functions.iter();
        let all: Vec<&str> = all.map(|one| if *one { " y" } else { " n" }).collect();
        writeln!(out, "{}", all.join(" "))?;
    }
    Ok(())
}
