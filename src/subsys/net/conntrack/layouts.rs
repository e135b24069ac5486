//! The structures of connection tracking and the members of them that are read.

use crate::kernel::layout::layout;

layout! {
    /// include/net/netfilter/nf_conntrack.h
    pub(crate) struct ConnLayout = "nf_conn" in "net/netfilter/nf_conntrack_core.c" {
        /// `refcount_t` since 5.16 (commit 719774377622), `atomic_t` before.
        need refs = "ct_general.use.refs.counter" | "ct_general.use.counter",
        /// A timer up to 4.7 (commit f330a7fdbe16).
        need timeout = "timeout.expires" | "timeout",
        /// Up to 4.7: null where the timer is not pending. Once a list's head, then its link.
        maybe timer_link = "timeout.entry.pprev" | "timeout.entry.next",
        /// With CONFIG_NF_CONNTRACK_ZONES; an extension up to 4.7.
        maybe zone = "zone.id",
        maybe zone_dir = "zone.dir",
        need tuplehash = "tuplehash",
        need status = "status",
        /// A pointer up to 4.0 (commit 0c5c9fb55106).
        need net = "ct_net.net" | "ct_net",
        need master = "master",
        /// With CONFIG_NF_CONNTRACK_MARK.
        maybe mark = "mark",
        /// With CONFIG_NF_CONNTRACK_SECMARK.
        maybe secmark = "secmark",
        need ext = "ext",
        maybe tcp_state = "proto.tcp.state",
        maybe sctp_state = "proto.sctp.state",
        /// Gone by 6.18.
        maybe dccp_state = "proto.dccp.state",
        maybe gre_timeout = "proto.gre.timeout",
        maybe gre_stream_timeout = "proto.gre.stream_timeout",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_tuple.h
    pub(crate) struct TupleHashLayout = "nf_conntrack_tuple_hash" in "net/netfilter/nf_conntrack_core.c" {
        need hnnode = "hnnode",
        need tuple = "tuple",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_tuple.h
    pub(crate) struct TupleLayout = "nf_conntrack_tuple" in "net/netfilter/nf_conntrack_core.c" {
        need src_address = "src.u3",
        need src_all = "src.u.all",
        need l3num = "src.l3num",
        need dst_address = "dst.u3",
        need dst_all = "dst.u.all",
        need icmp_type = "dst.u.icmp.type",
        need icmp_code = "dst.u.icmp.code",
        need protonum = "dst.protonum",
        need dir = "dst.dir",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_extend.h
    pub(crate) struct ExtLayout = "nf_ct_ext" in "net/netfilter/nf_conntrack_core.c" {
        /// Of one byte each, of two up to 4.11 (but for 3.10).
        need offsets = "offset",
        /// Bytes of it with all extensions, as wide as an offset.
        need total = "len",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_zones.h, up to 4.7.
    pub(crate) struct ZoneLayout = "nf_conntrack_zone" in "net/netfilter/nf_conntrack_core.c" {
        need id = "id",
        /// 4.3 and later.
        maybe dir = "dir",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_acct.h
    pub(crate) struct AcctLayout = "nf_conn_acct" in "net/netfilter/nf_conntrack_core.c" {
        need counter = "counter",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_acct.h
    pub(crate) struct CounterLayout = "nf_conn_counter" in "net/netfilter/nf_conntrack_core.c" {
        need packets = "packets.counter",
        need bytes = "bytes.counter",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_timestamp.h
    pub(crate) struct TstampLayout = "nf_conn_tstamp" in "net/netfilter/nf_conntrack_core.c" {
        need start = "start",
        need stop = "stop",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_labels.h
    pub(crate) struct LabelsLayout = "nf_conn_labels" in "net/netfilter/nf_conntrack_core.c" {
        need bits = "bits",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack.h
    pub(crate) struct HelpLayout = "nf_conn_help" in "net/netfilter/nf_conntrack_core.c" {
        need helper = "helper",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_helper.h
    pub(crate) struct HelperLayout = "nf_conntrack_helper" in "net/netfilter/nf_conntrack_helper.c" {
        need name = "name",
        need expect_policy = "expect_policy",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_expect.h
    pub(crate) struct PolicyLayout = "nf_conntrack_expect_policy" in "net/netfilter/nf_conntrack_expect.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/netfilter/nf_nat.h
    pub(crate) struct NatLayout = "nf_conn_nat" in "net/netfilter/nf_nat_core.c" {
        /// With CONFIG_NF_NAT_MASQUERADE.
        maybe masq_index = "masq_index",
    }
}

layout! {
    /// include/net/net_namespace.h
    pub(crate) struct NetLayout = "net" in "net/core/net_namespace.c" {
        /// 5.12 and later.
        maybe cookie = "net_cookie",
        need generic = "gen",
        /// Up to 5.12; since then in `struct nf_conntrack_net`.
        maybe ct_count = "ct.count.counter",
        maybe ct_expect_count = "ct.expect_count",
        need ct_stat = "ct.stat",
        /// Up to 5.18 (commit 8a75a2c17410).
        maybe pcpu_lists = "ct.pcpu_lists",
        /// Up to 3.15, heads of lists in place of those (RHEL 7 has both, and uses the others).
        maybe unconfirmed = "ct.unconfirmed",
        maybe dying = "ct.dying",
        /// Up to 4.6 (commit 56d52d4892d0): a table, its length and a cache of its own.
        maybe hash = "ct.hash",
        maybe htable_size = "ct.htable_size",
        maybe expect_hash = "ct.expect_hash",
        maybe tcp_timeouts = "ct.nf_ct_proto.tcp.timeouts",
        maybe udp_timeouts = "ct.nf_ct_proto.udp.timeouts",
        maybe generic_timeout = "ct.nf_ct_proto.generic.timeout",
        maybe icmp_timeout = "ct.nf_ct_proto.icmp.timeout",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack.h: 4.19 and later, with the counters since 5.13.
    pub(crate) struct ConntrackNetLayout = "nf_conntrack_net" in "net/netfilter/nf_conntrack_core.c" {
        maybe count = "count.counter",
        maybe expect_count = "expect_count",
        /// With CONFIG_NF_CONNTRACK_EVENTS, 5.19 and later.
        maybe dying_list = "ecache.dying_list",
    }
}

layout! {
    /// include/net/netns/conntrack.h, up to 5.18.
    pub(crate) struct PcpuListsLayout = "ct_pcpu" in "net/netfilter/nf_conntrack_core.c" {
        need unconfirmed = "unconfirmed",
        need dying = "dying",
    }
}

layout! {
    /// include/linux/netfilter/nf_conntrack_common.h
    pub(crate) struct StatLayout = "ip_conntrack_stat" in "net/netfilter/nf_conntrack_core.c" {
        need found = "found",
        need invalid = "invalid",
        /// Up to 5.8; then clash_resolve has its place in /proc/net/stat.
        maybe ignore = "ignore",
        need insert = "insert",
        need insert_failed = "insert_failed",
        maybe clash_resolve = "clash_resolve",
        need drop = "drop",
        need early_drop = "early_drop",
        need error = "error",
        need expect_new = "expect_new",
        need expect_create = "expect_create",
        need expect_delete = "expect_delete",
        need search_restart = "search_restart",
        /// 5.15 and later.
        maybe chaintoolong = "chaintoolong",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_expect.h
    pub(crate) struct ExpectLayout = "nf_conntrack_expect" in "net/netfilter/nf_conntrack_expect.c" {
        need hnode = "hnode",
        need tuple = "tuple",
        need flags = "flags",
        need class = "class",
        need master = "master",
        /// A timer up to 7.1, 32 bits of jiffies since.
        need timeout = "timeout.expires" | "timeout",
    }
}
