//! What is read of TCP's structures.

use crate::kernel::layout::layout;

layout! {
    /// include/linux/tcp.h
    pub(super) struct TcpLayout = "tcp_sock" in "net/ipv4/tcp.c" {
        need rcv_nxt = "rcv_nxt",
        need copied_seq = "copied_seq",
        need write_seq = "write_seq",
        need snd_una = "snd_una",
        need snd_nxt = "snd_nxt",
        need snd_cwnd = "snd_cwnd",
        need snd_ssthresh = "snd_ssthresh",
        need snd_wnd = "snd_wnd",
        need rcv_wnd = "rcv_wnd",
        need srtt_us = "srtt_us" | "srtt",
        need mdev_us = "mdev_us" | "mdev",
        need mss_cache = "mss_cache",
        need advmss = "advmss",
        need packets_out = "packets_out",
        need retrans_out = "retrans_out",
        need total_retrans = "total_retrans",
        need lost_out = "lost_out",
        need sacked_out = "sacked_out",
        need rcv_ssthresh = "rcv_ssthresh",
        need rcv_space = "rcvq_space.space",
        /// A list before 4.9.
        need out_of_order = "out_of_order_queue",
        maybe bytes_sent = "bytes_sent",
        maybe bytes_retrans = "bytes_retrans",
        maybe bytes_acked = "bytes_acked",
        maybe bytes_received = "bytes_received",
        maybe segs_in = "segs_in",
        maybe segs_out = "segs_out",
        maybe data_segs_in = "data_segs_in",
        maybe data_segs_out = "data_segs_out",
        maybe delivered = "delivered",
        maybe lsndtime = "lsndtime",
        maybe rcv_tstamp = "rcv_tstamp",
        maybe rcv_ooopack = "rcv_ooopack",
        /// Three samples of a time and a value, of which the first counts.
        maybe rtt_min = "rtt_min.s",
        need tstamp_ok = "rx_opt.tstamp_ok",
        need sack_ok = "rx_opt.sack_ok",
        need wscale_ok = "rx_opt.wscale_ok",
        need snd_wscale = "rx_opt.snd_wscale",
        need rcv_wscale = "rx_opt.rcv_wscale",
        need ecn_flags = "ecn_flags",
        maybe app_limited = "rate_app_limited",
        maybe rate_delivered = "rate_delivered",
        maybe rate_interval = "rate_interval_us",
        maybe reordering = "reordering",
        maybe reord_seen = "reord_seen",
        maybe dsack_dups = "dsack_dups",
        maybe timeout_rehash = "timeout_rehash",
        /// 6.2 and later (commit 29c1c44646ae).
        maybe plb_rehash = "plb_rehash",
        maybe rcv_rtt = "rcv_rtt_est.rtt_us",
    }
}

layout! {
    /// include/net/inet_connection_sock.h
    pub(super) struct ConnectionLayout = "inet_connection_sock" in "net/ipv4/inet_connection_sock.c" {
        need retransmits = "icsk_retransmits",
        need pending = "icsk_pending",
        /// Up to 6.19; since, of the timer in `struct sock`.
        maybe timeout = "icsk_timeout",
        /// A timer of its own, in stable releases since 2026; before, `sk_timer`.
        maybe keepalive = "icsk_keepalive_timer",
        need rto = "icsk_rto",
        need backoff = "icsk_backoff",
        need probes_out = "icsk_probes_out",
        need pmtu = "icsk_pmtu_cookie",
        need ca_ops = "icsk_ca_ops",
        need ato = "icsk_ack.ato",
        need quick = "icsk_ack.quick",
        need pingpong = "icsk_ack.pingpong",
        need rcv_mss = "icsk_ack.rcv_mss",
        need ack_pending = "icsk_ack.pending",
        maybe ack_timeout = "icsk_ack.timeout",
        maybe delack = "icsk_delack_timer",
        maybe lrcvtime = "icsk_ack.lrcvtime",
        /// 4.4 and later; before, the listener had a table of its own.
        maybe handshakes = "icsk_accept_queue.qlen.counter",
        maybe fast_open = "icsk_accept_queue.fastopenq.max_qlen",
    }
}

layout! {
    /// include/net/tcp.h
    pub(super) struct CongestionLayout = "tcp_congestion_ops" in "net/ipv4/tcp_cong.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/inet_timewait_sock.h
    pub(super) struct TimewaitLayout = "inet_timewait_sock" in "net/ipv4/inet_timewait_sock.c" {
        need substate = "tw_substate",
        need sport = "tw_sport",
        /// 4.1 and later; before, a wheel for all of them.
        maybe expires = "tw_timer.expires",
        maybe mark = "tw_mark",
    }
}

layout! {
    /// include/net/request_sock.h
    pub(super) struct RequestLayout = "request_sock" in "net/ipv4/inet_connection_sock.c" {
        need timeouts = "num_timeout",
        need expires = "rsk_timer.expires" | "expires",
        maybe listener = "__req_common.skc_listener",
    }
}
