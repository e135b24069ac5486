//! What is read of every socket (include/net/sock.h).

use crate::kernel::layout::{Field, layout};

layout! {
    /// include/net/sock.h: what `struct sock`, `inet_timewait_sock` and `request_sock` begin with.
    pub(super) struct CommonLayout = "sock_common" in "net/core/sock.c" {
        need daddr = "skc_daddr",
        need rcv_saddr = "skc_rcv_saddr",
        need dport = "skc_dport",
        need num = "skc_num",
        need family = "skc_family",
        need state = "skc_state",
        need bound_dev_if = "skc_bound_dev_if",
        need prot = "skc_prot",
        /// A pointer by itself up to 4.0 (commit 0c5c9fb55106).
        need net = "skc_net.net" | "skc_net",
        /// With CONFIG_IPV6.
        maybe v6_daddr = "skc_v6_daddr",
        maybe v6_rcv_saddr = "skc_v6_rcv_saddr",
        maybe v6_only = "skc_ipv6only",
        /// 4.1 and later (commit 33cf7c90fe2f).
        maybe cookie = "skc_cookie.counter",
        /// Up to 4.3 in `struct sock`.
        maybe flags = "skc_flags",
        need node = "skc_node",
        need nulls_node = "skc_nulls_node",
        /// `atomic_t` up to 4.12.
        need refcount = "skc_refcnt.refs.counter" | "skc_refcnt.counter",
    }
}

layout! {
    /// include/net/sock.h
    pub(super) struct SockLayout = "sock" in "net/core/sock.c" {
        need receive_queue = "sk_receive_queue",
        need write_queue = "sk_write_queue",
        need error_queue = "sk_error_queue",
        need backlog_first = "sk_backlog.head",
        need backlog_len = "sk_backlog.len",
        need rmem_alloc = "sk_backlog.rmem_alloc.counter",
        need wmem_alloc = "sk_wmem_alloc.refs.counter" | "sk_wmem_alloc.counter",
        need wmem_queued = "sk_wmem_queued",
        need forward_alloc = "sk_forward_alloc",
        need omem_alloc = "sk_omem_alloc.counter",
        need rcvbuf = "sk_rcvbuf",
        need sndbuf = "sk_sndbuf",
        need userlocks = "sk_userlocks",
        need ack_backlog = "sk_ack_backlog",
        need max_ack_backlog = "sk_max_ack_backlog",
        need drops = "sk_drops.counter",
        /// 6.18 and later (commit c51613fa276f): counters apart, if it is not null.
        maybe drop_counters = "sk_drop_counters",
        need socket = "sk_socket",
        maybe uid = "sk_uid.val" | "sk_uid",
        /// 6.17 and later (commit 5d6b58c932ec); before, by the socket's inode.
        maybe inode = "sk_ino",
        need mark = "sk_mark",
        need error = "sk_err",
        need type_ = "sk_type",
        need protocol = "sk_protocol",
        /// 4.2 and later (commit eeb1bd5c40ed).
        maybe kern = "sk_kern_sock",
        need timer = "sk_timer",
        /// 7.0 and later; before, `icsk_timeout`.
        maybe retransmit_timer = "tcp_retransmit_timer",
        /// 4.15 and later (commit 75c119afe14f).
        maybe rtx_queue = "tcp_rtx_queue",
        maybe cgroup = "sk_cgrp_data.cgroup" | "sk_cgrp_data.val",
        need shutdown = "sk_shutdown",
        need pacing_rate = "sk_pacing_rate",
    }
}

layout! {
    /// include/linux/timer.h
    pub(super) struct TimerLayout = "timer_list" in "net/core/sock.c" {
        /// Of a doubly linked list in old kernels, as conntrack's timers.
        need pprev = "entry.pprev" | "entry.next",
        need expires = "expires",
    }
}

impl TimerLayout {
    /// When the timer at `at` of a record ends, if it runs.
    pub(super) fn pending(&self, record: &[u8], at: Field) -> Option<u64> {
        let record = record.get(at.offset as usize..)?;
        (self.pprev.get(record) != 0).then(|| self.expires.get(record))
    }
}

layout! {
    /// include/net/sock.h: a socket and its inode are one.
    pub(super) struct SocketInodeLayout = "socket_alloc" in "net/socket.c" {
        need inode = "vfs_inode",
        need state = "socket.state",
        need file = "socket.file",
        need sk = "socket.sk",
    }
}

layout! {
    /// include/linux/fs.h
    pub(super) struct InodeLayout = "inode" in "net/socket.c" {
        need number = "i_ino",
        need uid = "i_uid",
    }
}

layout! {
    /// include/linux/skbuff.h
    pub(super) struct SkbLayout = "sk_buff" in "net/core/skbuff.c" {
        need data = "len",
        need truesize = "truesize",
    }
}

layout! {
    /// include/net/sock.h
    pub(super) struct ProtocolLayout = "proto" in "net/core/sock.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/inet_sock.h
    pub(super) struct InetLayout = "inet_sock" in "net/ipv4/af_inet.c" {
        need sport = "inet_sport",
    }
}

layout! {
    /// net/mptcp/protocol.h
    pub(super) struct MptcpLayout = "mptcp_sock" in "net/mptcp/protocol.c" {
        need first = "first",
    }
}

layout! {
    /// include/linux/udp.h
    pub(super) struct UdpLayout = "udp_sock" in "net/ipv4/udp.c" {
        /// 4.12 and later (commit 6b229cf77d68).
        maybe deficit = "forward_deficit",
        /// 4.12 and later (commit 2276f58ac589).
        maybe reader = "reader_queue",
    }
}
