//! What TCP has beside what every socket has (net/ipv4/tcp_ipv4.c, net/ipv4/inet_diag.c).

use serde::Serialize;

use super::facts::{ListenFacts, TimerFacts};
use super::layouts::{SockLayout, TimerLayout};
use super::tcp_layouts::{
    CongestionLayout, ConnectionLayout, RequestLayout, TcpLayout, TimewaitLayout,
};
use crate::addr::VirtAddr;
use crate::bytes::u32_at;
use crate::kernel::layout::Field;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::clock::Clock;

/// `tcp_diag` names the timers by these (ICSK_TIME_RETRANS, PROBE0, LOSS_PROBE, REO_TIMEOUT).
const RETRANSMIT: u64 = 1;
const PROBE: u64 = 3;
const LOSS_PROBE: u64 = 5;
const REORDER: u64 = 6;
/// ICSK_ACK_TIMER.
const ACK_TIMER: u64 = 2;
/// TCP_INFINITE_SSTHRESH.
const NO_THRESHOLD: u64 = 0x7fff_ffff;

/// What TCP alone has, of a full socket: in segments, bytes, or jiffies where a name says nothing.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)] // named as the kernel's members
pub struct TcpFacts {
    pub write_seq_less_una: u64,
    pub rcv_less_copied: u64,
    pub not_sent: u64,
    pub rto: u64,
    pub ato: u64,
    pub rto_ms: f64,
    pub ato_ms: f64,
    pub backoff: u64,
    pub retransmits: u64,
    pub probes_out: u64,
    pub quick: u64,
    pub pingpong: u64,
    pub snd_cwnd: u64,
    /// `None` while it is still the highest.
    pub snd_ssthresh: Option<u64>,
    pub snd_wnd: u64,
    pub rcv_wnd: u64,
    pub srtt_us: u64,
    pub mdev_us: u64,
    pub min_rtt_us: Option<u64>,
    pub mss: u64,
    pub advmss: u64,
    pub pmtu: u64,
    pub rcv_mss: u64,
    pub unacked: u64,
    pub retrans_out: u64,
    pub total_retrans: u64,
    pub lost: u64,
    pub sacked: u64,
    pub rcv_ssthresh: u64,
    pub rcv_space: u64,
    pub rcv_ooopack: u64,
    pub bytes_sent: Option<u64>,
    pub bytes_retrans: Option<u64>,
    pub bytes_acked: Option<u64>,
    pub bytes_received: Option<u64>,
    pub segs_in: Option<u64>,
    pub segs_out: Option<u64>,
    pub data_segs_in: Option<u64>,
    pub data_segs_out: Option<u64>,
    pub delivered: Option<u64>,
    /// Since something was last sent, in milliseconds; so the next two.
    pub last_sent_ms: Option<u64>,
    pub last_received_ms: Option<u64>,
    pub last_ack_ms: Option<u64>,
    pub timestamps: bool,
    pub sack: bool,
    pub ecn: bool,
    /// Of the other end and of this one.
    pub wscale: Option<(u64, u64)>,
    /// `cubic`, ….
    pub congestion: Option<String>,
    pub pacing_rate: u64,
    /// Bytes a second, as measured; `None` if nothing was.
    pub delivery_rate: Option<u64>,
    pub app_limited: bool,
    pub reordering: u64,
    pub reord_seen: u64,
    pub dsack_dups: u64,
    pub rcv_rtt_us: u64,
    /// How often another way through the network was tried; `None` before 6.2.
    pub rehash: Option<u64>,
    pub fast_open_max: u64,
}

/// Reads what TCP has.
pub(super) struct TcpReader {
    pub(super) tcp: TcpLayout,
    pub(super) connection: ConnectionLayout,
    pub(super) timewait: TimewaitLayout,
    pub(super) request: RequestLayout,
    congestion: CongestionLayout,
    timer: TimerLayout,
    pub(super) clock: Option<Clock>,
}

/// What a full TCP socket gives.
pub(super) struct Read {
    pub(super) facts: TcpFacts,
    pub(super) timer: Option<TimerFacts>,
    pub(super) listen: ListenFacts,
}

impl TcpReader {
    pub(super) fn new(kernel: &Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            tcp: kernel.layout()?,
            connection: kernel.layout()?,
            timewait: kernel.layout()?,
            request: kernel.layout()?,
            congestion: kernel.layout()?,
            timer: kernel.layout()?,
            clock: Clock::read(kernel)?,
        })
    }

    /// A timer that ends at a time in jiffies.
    pub(super) fn timer_at(&self, name: &'static str, expires: u64, retries: u64) -> TimerFacts {
        let jiffies = self.clock.map_or(0, |clock| until(&clock, expires));
        let hz = self.clock.map_or(1, |clock| clock.hz.max(1)).cast_signed();
        TimerFacts {
            name,
            milliseconds: jiffies.saturating_mul(1000) / hz,
            jiffies,
            retries,
        }
    }

    /// `sock` is the record of what all sockets have.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        at: VirtAddr,
        layout: &SockLayout,
        sock: &[u8],
    ) -> Option<Read> {
        let record = kernel.space.span(at, self.tcp.len).ok()?;
        let connection = kernel.space.span(at, self.connection.len).ok()?;
        let mut facts = self.facts(&record);
        self.add_connection(kernel, &connection, &mut facts);
        facts.pacing_rate = pacing_rate(&layout.pacing_rate, sock);
        let queued = self
            .connection
            .handshakes
            .map(|field| field.get(&connection));
        Some(Read {
            timer: self.timer(layout, sock, &connection, &facts),
            listen: ListenFacts {
                waiting: layout.ack_backlog.get(sock),
                backlog: layout.max_ack_backlog.get(sock),
                handshakes: queued.unwrap_or(0),
                fast_open: facts.fast_open_max,
            },
            facts,
        })
    }

    fn facts(&self, record: &[u8]) -> TcpFacts {
        let tcp = &self.tcp;
        let less = |one: u64, other: u64| u64::from((one as u32).wrapping_sub(other as u32));
        let of = |field: Option<crate::kernel::layout::Field>| field.map(|field| field.get(record));
        let since = |field: Option<crate::kernel::layout::Field>| self.since(of(field)?);
        let threshold = tcp.snd_ssthresh.get(record);
        let received = less(tcp.rcv_nxt.get(record), tcp.copied_seq.get(record));
        TcpFacts {
            write_seq_less_una: less(tcp.write_seq.get(record), tcp.snd_una.get(record)),
            // One byte behind for a moment, which the kernel shows as none.
            rcv_less_copied: if received >> 31 == 0 { received } else { 0 },
            not_sent: less(tcp.write_seq.get(record), tcp.snd_nxt.get(record)),
            snd_cwnd: tcp.snd_cwnd.get(record),
            snd_ssthresh: (threshold < NO_THRESHOLD).then_some(threshold),
            snd_wnd: tcp.snd_wnd.get(record),
            rcv_wnd: tcp.rcv_wnd.get(record),
            srtt_us: tcp.srtt_us.get(record) >> 3,
            mdev_us: tcp.mdev_us.get(record) >> 2,
            min_rtt_us: tcp
                .rtt_min
                .and_then(|field| u32_at(record, field.offset as usize + 4))
                .map(u64::from),
            mss: tcp.mss_cache.get(record),
            advmss: tcp.advmss.get(record),
            unacked: tcp.packets_out.get(record),
            retrans_out: tcp.retrans_out.get(record),
            total_retrans: tcp.total_retrans.get(record),
            lost: tcp.lost_out.get(record),
            sacked: tcp.sacked_out.get(record),
            rcv_ssthresh: tcp.rcv_ssthresh.get(record),
            rcv_space: tcp.rcv_space.get(record),
            rcv_ooopack: of(tcp.rcv_ooopack).unwrap_or(0),
            bytes_sent: of(tcp.bytes_sent),
            bytes_retrans: of(tcp.bytes_retrans),
            bytes_acked: of(tcp.bytes_acked),
            bytes_received: of(tcp.bytes_received),
            segs_in: of(tcp.segs_in),
            segs_out: of(tcp.segs_out),
            data_segs_in: of(tcp.data_segs_in),
            data_segs_out: of(tcp.data_segs_out),
            delivered: of(tcp.delivered),
            last_sent_ms: since(tcp.lsndtime),
            last_ack_ms: since(tcp.rcv_tstamp),
            timestamps: tcp.tstamp_ok.get(record) != 0,
            sack: tcp.sack_ok.get(record) != 0,
            ecn: tcp.ecn_flags.get(record) & 1 != 0,
            app_limited: of(tcp.app_limited).unwrap_or(0) != 0,
            delivery_rate: of(tcp.rate_delivered)
                .zip(of(tcp.rate_interval))
                .filter(|(delivered, interval)| *delivered > 0 && *interval > 0)
                .map(|(delivered, interval)| {
                    let bytes = delivered.saturating_mul(tcp.mss_cache.get(record));
                    bytes.saturating_mul(1_000_000) / interval
                }),
            reordering: of(tcp.reordering).unwrap_or(0),
            reord_seen: of(tcp.reord_seen).unwrap_or(0),
            dsack_dups: of(tcp.dsack_dups).unwrap_or(0),
            rehash: of(tcp.plb_rehash).map(|count| count + of(tcp.timeout_rehash).unwrap_or(0)),
            rcv_rtt_us: of(tcp.rcv_rtt).unwrap_or(0) >> 3,
            wscale: (tcp.wscale_ok.get(record) != 0)
                .then(|| (tcp.snd_wscale.get(record), tcp.rcv_wscale.get(record))),
            ..TcpFacts::default()
        }
    }

    fn add_connection(&self, kernel: &Kernel, record: &[u8], facts: &mut TcpFacts) {
        let layout = &self.connection;
        facts.rto = layout.rto.get(record);
        facts.ato = layout.ato.get(record);
        let hz = self.clock.map_or(1000, |clock| clock.hz.max(1)) as f64;
        facts.rto_ms = facts.rto as f64 * 1000.0 / hz;
        facts.ato_ms = facts.ato as f64 * 1000.0 / hz;
        facts.backoff = layout.backoff.get(record);
        facts.retransmits = layout.retransmits.get(record);
        facts.probes_out = layout.probes_out.get(record);
        facts.quick = layout.quick.get(record);
        facts.pingpong = layout.pingpong.get(record);
        facts.pmtu = layout.pmtu.get(record);
        facts.rcv_mss = layout.rcv_mss.get(record);
        let received = layout.lrcvtime.map(|field| field.get(record));
        facts.last_received_ms = received.and_then(|at| self.since(at));
        facts.fast_open_max = layout.fast_open.map_or(0, |field| field.get(record));
        let ops = VirtAddr(layout.ca_ops.get(record));
        if !ops.is_null() {
            let name = ops.plus(u64::from(self.congestion.name.offset));
            facts.congestion = kernel.space.read_c_string(name, 16).ok();
        }
    }

    /// Milliseconds since a stamp of 32 bits.
    fn since(&self, stamp: u64) -> Option<u64> {
        let clock = self.clock?;
        let ticks = (clock.jiffies as u32).wrapping_sub(stamp as u32);
        Some(u64::from(ticks) * 1000 / clock.hz.max(1))
    }

    /// The timer that inet_diag tells of.
    fn timer(
        &self,
        layout: &SockLayout,
        sock: &[u8],
        connection: &[u8],
        facts: &TcpFacts,
    ) -> Option<TimerFacts> {
        let own = &self.connection;
        let main = own.timeout.map(|field| field.get(connection));
        let main = main.or_else(|| {
            let at = layout.retransmit_timer?.offset as usize;
            Some(self.timer.expires.get(sock.get(at..)?))
        });
        match own.pending.get(connection) {
            RETRANSMIT | LOSS_PROBE | REORDER => {
                return Some(self.timer_at("on", main?, facts.retransmits));
            }
            PROBE => return Some(self.timer_at("persist", main?, facts.probes_out)),
            _ => {}
        }
        let keepalive = match own.keepalive {
            Some(field) => self.timer.pending(connection, field),
            None => self.timer.pending(sock, layout.timer),
        };
        if let Some(expires) = keepalive {
            return Some(self.timer_at("keepalive", expires, facts.probes_out));
        }
        if own.ack_pending.get(connection) & ACK_TIMER != 0 {
            let expires = own.ack_timeout.map(|field| field.get(connection));
            let expires = expires.or_else(|| self.timer.pending(connection, own.delack?))?;
            return Some(self.timer_at("delack", expires, 0));
        }
        None
    }
}

/// The rate of pacing, whose word is of 32 bits up to 4.19: without a limit it is all ones, which
/// the kernel tells as 64 of them (`tcp_get_info()`).
fn pacing_rate(field: &Field, sock: &[u8]) -> u64 {
    let rate = field.get(sock);
    match rate == u64::from(u32::MAX) && field.size == 4 {
        true => u64::MAX,
        false => rate,
    }
}

/// Jiffies from now to `expires`, both of 64 bits.
fn until(clock: &Clock, expires: u64) -> i64 {
    expires.wrapping_sub(clock.jiffies).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_of_pacing_in_words_of_two_sizes() {
        for (size, record, rate) in [
            (4, [0xff; 8], u64::MAX),
            (8, [0xff; 8], u64::MAX),
            (4, [1, 0, 0, 0, 9, 9, 9, 9], 1),
            (8, [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 0xffff_ffff),
        ] {
            let field = Field {
                offset: 0,
                size,
                bits: None,
            };
            assert_eq!(pacing_rate(&field, &record), rate, "{size}");
        }
    }
}
