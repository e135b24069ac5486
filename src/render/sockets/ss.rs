//! Sockets as `ss -anpmioe -O` prints them (iproute2, misc/ss.c): one a line, with one blank
//! between columns where ss aligns them.

use std::io::{self, Write};

use crate::render::printable;
use crate::report::sockets::SocketsReport;
use crate::subsys::net::sockets::{Kind, MemoryFacts, SocketFacts, TcpFacts, TimerFacts};

/// struct tcp_info has no more of a threshold that was never set.
const NO_THRESHOLD: u64 = 0xffff;
/// TCP_INIT_REORDERING: what it is as long as nothing came out of order.
const REORDERING: u64 = 3;
/// TCP_CLOSE and TCP_LISTEN.
const CLOSE: u64 = 7;
const LISTEN: u64 = 10;
/// Packets of all protocols.
const ETH_P_ALL: u16 = 3;
/// RCV_SHUTDOWN and SEND_SHUTDOWN.
const RECEIVING: u64 = 1;
const SENDING: u64 = 2;

/// All of them.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut dyn Write, report: &SocketsReport) -> io::Result<()> {
    writeln!(
        out,
        "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port Process"
    )?;
    for socket in &report.sockets {
        writeln!(out, "{}", line(socket))?;
    }
    Ok(())
}

fn line(socket: &SocketFacts) -> String {
    let [local, remote] = ends(socket);
    let mut words = vec![
        netid(socket),
        socket.state.to_owned(),
        socket.recv_q.to_string(),
        socket.send_q.to_string(),
        local,
        remote,
    ];
    match (&socket.netlink, socket.kind) {
        (Some(netlink), _) => {
            // The addresses that it asks netlink for are none since 4.x.
            words.push(format!("sk=0 cb=0 groups=0x{:08x}", netlink.groups));
            words.extend(socket.limits.as_ref().map(memory_word));
        }
        (None, Kind::Unix) => {
            users(socket, &mut words);
            words.extend(socket.limits.as_ref().map(memory_word));
            words.push(shut(socket.shutdown));
        }
        _ => inet_words(socket, &mut words),
    }
    words.join(" ")
}

/// What ss calls its kind: with the type where a family has several.
fn netid(socket: &SocketFacts) -> String {
    let name = match (socket.kind, socket.type_name) {
        (Kind::Unix, "stream") => "u_str",
        (Kind::Unix, "dgram") => "u_dgr",
        (Kind::Unix, "seqpacket") => "u_seq",
        (Kind::Packet, "raw") => "p_raw",
        (Kind::Packet, "dgram") => "p_dgr",
        (Kind::Netlink, _) => "nl",
        (Kind::Vsock, "stream") => "v_str",
        (Kind::Vsock, "dgram") => "v_dgr",
        (kind, _) => kind.name(),
    };
    name.to_owned()
}

/// Both ends as ss writes them.
fn ends(socket: &SocketFacts) -> [String; 2] {
    if let Some(unix) = &socket.unix {
        let name = unix.name.as_deref().map_or("*".to_owned(), printable);
        let peer = unix.peer_inode.unwrap_or(0);
        return [format!("{name} {}", socket.inode), format!("* {peer}")];
    }
    if let Some(packet) = &socket.packet {
        let device = match (&socket.device, packet.ifindex) {
            (Some(name), _) => printable(name),
            (None, 0) => "*".to_owned(),
            (None, index) => format!("if{index}"),
        };
        let protocol = match packet.protocol {
            ETH_P_ALL => "*".to_owned(),
            protocol => format!("[{protocol}]"),
        };
        return [format!("{protocol}:{device}"), "*".to_owned()];
    }
    if socket.netlink.is_some() {
        return [printable(&socket.local), "*".to_owned()];
    }
    let any = |end: &str| match end.strip_prefix("[::]") {
        // All addresses of both versions.
        Some(port) if !is_v6_only(socket).unwrap_or(false) => format!("*{port}"),
        _ => end.to_owned(),
    };
    let local = any(&printable(&socket.local));
    let local = match (&socket.device, local.rsplit_once(':')) {
        (Some(device), Some((address, port))) => format!("{address}%{}:{port}", printable(device)),
        _ => local,
    };
    [local, any(&printable(&socket.remote))]
}

/// Whether IPv4 is left out; inet_diag tells it of sockets that are connected to nobody.
fn is_v6_only(socket: &SocketFacts) -> Option<bool> {
    let told = socket.family == "inet6" && matches!(socket.state_number, CLOSE | LISTEN);
    told.then(|| socket.inet.is_some_and(|inet| inet.v6_only))
}

/// What follows the addresses of IP's sockets, and of packets'.
fn inet_words(socket: &SocketFacts, words: &mut Vec<String>) {
    users(socket, words);
    let timer = socket.timer.filter(|_| socket.kind == Kind::Tcp);
    words.extend(timer.map(|timer| timer_word(&timer)));
    if socket.uid != 0 {
        words.push(format!("uid:{}", socket.uid));
    }
    words.push(format!("ino:{}", socket.inode));
    words.push(format!("sk:{:x}", socket.cookie.unwrap_or(0)));
    if socket.mark != 0 {
        words.push(format!("fwmark:{:#x}", socket.mark));
    }
    if socket.packet.is_some() {
        words.extend(socket.limits.as_ref().map(memory_word));
        return;
    }
    if let Some(cgroup) = &socket.cgroup {
        words.push(format!("cgroup:{}", printable(cgroup)));
    }
    if let Some(only) = is_v6_only(socket) {
        words.push(format!("v6only:{}", u8::from(only)));
    }
    if let Some(memory) = &socket.limits {
        words.push(shut(socket.shutdown));
        words.push(memory_word(memory));
    }
    if let Some(tcp) = socket.tcp.as_ref().filter(|_| socket.state_number != CLOSE) {
        tcp_words(socket, tcp, words);
    }
}

/// The newest process first, as they are found in /proc.
fn users(socket: &SocketFacts, words: &mut Vec<String>) {
    if socket.owners.is_empty() {
        return;
    }
    let owners = socket.owners.iter().rev();
    let owners = owners.map(|one| {
        let comm = printable(&one.comm);
        format!("(\"{comm}\",pid={},fd={})", one.pid, one.fd)
    });
    let owners: Vec<String> = owners.collect();
    words.push(format!("users:({})", owners.join(",")));
}

/// As print_ms_timer() of ss: minutes, seconds, and milliseconds below a minute.
fn timer_word(timer: &TimerFacts) -> String {
    let milliseconds = timer.milliseconds.max(0);
    let (minutes, seconds) = (milliseconds / 60_000, milliseconds / 1000 % 60);
    let mut text = String::new();
    if minutes > 0 {
        text.push_str(&format!("{minutes}min"));
    }
    if seconds > 0 {
        let comma = if minutes > 0 { "," } else { "" };
        if minutes < 10 {
            text.push_str(&format!("{comma}{seconds}"));
        }
    }
    // Of seconds below ten, ss shows the rest too.
    let rest = milliseconds % 1000;
    match (minutes, seconds) {
        (0, 0) => text.push_str(&format!("{rest}ms")),
        (0, seconds) if seconds < 9 => text.push_str(&format!(".{rest:03}ms")),
        (minutes, seconds) if minutes < 10 && seconds > 0 => text.push_str("sec"),
        _ => {}
    }
    format!("timer:({},{text},{})", timer.name, timer.retries)
}

fn shut(shutdown: u64) -> String {
    let left = if shutdown & RECEIVING != 0 { '-' } else { '<' };
    let right = if shutdown & SENDING != 0 { '-' } else { '>' };
    format!("{left}-{right}")
}

fn memory_word(memory: &MemoryFacts) -> String {
    format!(
        "skmem:(r{},rb{},t{},tb{},f{},w{},o{},bl{},d{})",
        memory.rmem_alloc_bytes,
        memory.rcvbuf_bytes,
        memory.wmem_alloc_bytes,
        memory.sndbuf_bytes,
        memory.forward_alloc_bytes,
        memory.wmem_queued_bytes,
        memory.omem_alloc_bytes,
        memory.backlog_bytes,
        memory.drops
    )
}

/// A number with six digits that count, as C prints with %g.
fn general(value: f64) -> String {
    let digits = if value < 1.0 {
        6
    } else {
        5usize.saturating_sub(value.log10() as usize)
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn milliseconds(us: u64) -> String {
    general(us as f64 / 1000.0)
}

fn tcp_words(socket: &SocketFacts, tcp: &TcpFacts, words: &mut Vec<String>) {
    let mut flag = |on: bool, word: &str| {
        if on {
            words.push(word.to_owned());
        }
    };
    flag(tcp.timestamps, "ts");
    flag(tcp.sack, "sack");
    flag(tcp.ecn, "ecn");
    words.extend(tcp.congestion.as_deref().map(printable));
    if let Some((sending, receiving)) = tcp.wscale {
        words.push(format!("wscale:{sending},{receiving}"));
    }
    if socket.listen.is_some() {
        words.push(format!("cwnd:{}", tcp.snd_cwnd));
        if socket.recv_q > 0 {
            words.push(format!("unacked:{}", socket.recv_q));
        }
        return;
    }
    sizes(tcp, words);
    rates(tcp, words);
    counts(tcp, words);
}

/// A word that stands only where its number is not zero.
fn some(words: &mut Vec<String>, name: &str, value: Option<u64>) {
    if let Some(value) = value.filter(|value| *value > 0) {
        words.push(format!("{name}:{value}"));
    }
}

fn sizes(tcp: &TcpFacts, words: &mut Vec<String>) {
    words.push(format!("rto:{}", general(tcp.rto_ms)));
    some(words, "backoff", Some(tcp.backoff));
    // None was measured where nothing was sent.
    if tcp.srtt_us > 0 {
        words.push(format!(
            "rtt:{}/{}",
            milliseconds(tcp.srtt_us),
            milliseconds(tcp.mdev_us)
        ));
    }
    if tcp.ato > 0 {
        words.push(format!("ato:{}", general(tcp.ato_ms)));
    }
    some(words, "mss", Some(tcp.mss));
    some(words, "pmtu", Some(tcp.pmtu));
    some(words, "rcvmss", Some(tcp.rcv_mss));
    some(words, "advmss", Some(tcp.advmss));
    some(words, "cwnd", Some(tcp.snd_cwnd));
    let threshold = tcp.snd_ssthresh.filter(|one| *one < NO_THRESHOLD);
    some(words, "ssthresh", threshold);
    some(words, "bytes_sent", tcp.bytes_sent);
    some(words, "bytes_retrans", tcp.bytes_retrans);
    some(words, "bytes_acked", tcp.bytes_acked);
    some(words, "bytes_received", tcp.bytes_received);
    some(words, "segs_out", tcp.segs_out);
    some(words, "segs_in", tcp.segs_in);
    some(words, "data_segs_out", tcp.data_segs_out);
    some(words, "data_segs_in", tcp.data_segs_in);
}

fn rates(tcp: &TcpFacts, words: &mut Vec<String>) {
    let mut rate = |name: &str, bits: f64| {
        words.push(name.to_owned());
        words.push(format!("{bits:.0}bps"));
    };
    if tcp.srtt_us > 0 && tcp.mss > 0 && tcp.snd_cwnd > 0 {
        let bits = tcp.snd_cwnd as f64 * tcp.mss as f64 * 8.0;
        rate("send", bits * 1_000_000.0 / tcp.srtt_us as f64);
    }
    some(words, "lastsnd", tcp.last_sent_ms);
    some(words, "lastrcv", tcp.last_received_ms);
    some(words, "lastack", tcp.last_ack_ms);
    let mut rate = |name: &str, bytes: u64| {
        words.push(name.to_owned());
        words.push(format!("{}bps", bytes.saturating_mul(8)));
    };
    if tcp.pacing_rate > 0 && tcp.pacing_rate != u64::MAX {
        rate("pacing_rate", tcp.pacing_rate);
    }
    if let Some(bytes) = tcp.delivery_rate {
        rate("delivery_rate", bytes);
    }
    some(words, "delivered", tcp.delivered);
    if tcp.app_limited {
        words.push("app_limited".to_owned());
    }
}

fn counts(tcp: &TcpFacts, words: &mut Vec<String>) {
    some(words, "unacked", Some(tcp.unacked));
    if tcp.retrans_out > 0 || tcp.total_retrans > 0 {
        words.push(format!("retrans:{}/{}", tcp.retrans_out, tcp.total_retrans));
    }
    some(words, "lost", Some(tcp.lost));
    some(words, "sacked", Some(tcp.sacked));
    some(words, "dsack_dups", Some(tcp.dsack_dups));
    let reordering = Some(tcp.reordering).filter(|one| *one != REORDERING);
    some(words, "reordering", reordering);
    some(words, "reord_seen", Some(tcp.reord_seen));
    if tcp.rcv_rtt_us > 0 {
        words.push(format!("rcv_rtt:{}", milliseconds(tcp.rcv_rtt_us)));
    }
    some(words, "rcv_space", Some(tcp.rcv_space));
    some(words, "rcv_ssthresh", Some(tcp.rcv_ssthresh));
    some(words, "notsent", Some(tcp.not_sent));
    let least = tcp
        .min_rtt_us
        .filter(|us| *us > 0 && *us < u64::from(u32::MAX));
    words.extend(least.map(|us| format!("minrtt:{}", milliseconds(us))));
    some(words, "rcv_ooopack", Some(tcp.rcv_ooopack));
    some(words, "snd_wnd", Some(tcp.snd_wnd));
    // Both came to struct tcp_info together.
    if tcp.rehash.is_some() {
        some(words, "rcv_wnd", Some(tcp.rcv_wnd));
    }
    some(words, "rehash", tcp.rehash);
}
