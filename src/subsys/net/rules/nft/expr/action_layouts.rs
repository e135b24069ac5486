//! The private structures of expressions that act, limit or look elsewhere.

use crate::kernel::layout::layout;

layout! {
    /// net/netfilter/nft_limit.c: 5.17 and later, and before.
    pub(super) struct LimitPrivLayout = "nft_limit_priv" in "net/netfilter/nft_limit.c" {
        need rate = "rate",
        need nsecs = "nsecs",
        need burst = "burst",
        need invert = "invert",
    }
}

layout! {
    /// net/netfilter/nft_limit.c
    pub(super) struct LimitLayout = "nft_limit" in "net/netfilter/nft_limit.c" {
        maybe rate = "rate",
        maybe nsecs = "nsecs",
        maybe burst = "burst",
        maybe invert = "invert",
    }
}

layout! {
    /// net/netfilter/nft_log.c
    pub(super) struct LogLayout = "nft_log" in "net/netfilter/nft_log.c" {
        need kind = "loginfo.type",
        need level = "loginfo.u.log.level",
        need flags = "loginfo.u.log.logflags",
        need snaplen = "loginfo.u.ulog.copy_len",
        need group = "loginfo.u.ulog.group",
        need threshold = "loginfo.u.ulog.qthreshold",
        need prefix = "prefix",
    }
}

layout! {
    /// net/netfilter/nft_nat.c
    pub(super) struct NatLayout = "nft_nat" in "net/netfilter/nft_nat.c" {
        need addr_min = "sreg_addr_min",
        need addr_max = "sreg_addr_max",
        need proto_min = "sreg_proto_min",
        need proto_max = "sreg_proto_max",
        need kind = "type",
        need family = "family",
        need flags = "flags",
    }
}

layout! {
    /// net/netfilter/nft_masq.c
    pub(super) struct MasqLayout = "nft_masq" in "net/netfilter/nft_masq.c" {
        need flags = "flags",
        need proto_min = "sreg_proto_min",
        need proto_max = "sreg_proto_max",
    }
}

layout! {
    /// net/netfilter/nft_redir.c
    pub(super) struct RedirLayout = "nft_redir" in "net/netfilter/nft_redir.c" {
        need flags = "flags",
        need proto_min = "sreg_proto_min",
        need proto_max = "sreg_proto_max",
    }
}

layout! {
    /// include/net/netfilter/nft_reject.h
    pub(super) struct RejectLayout = "nft_reject" in "net/netfilter/nft_reject.c" | "net/netfilter/nft_reject_inet.c" {
        need kind = "type",
        need code = "icmp_code",
    }
}

layout! {
    /// net/netfilter/nft_queue.c
    pub(super) struct QueueLayout = "nft_queue" in "net/netfilter/nft_queue.c" {
        need sreg = "sreg_qnum",
        need number = "queuenum",
        need total = "queues_total",
        need flags = "flags",
    }
}

layout! {
    /// net/netfilter/nft_quota.c
    pub(super) struct QuotaLayout = "nft_quota" in "net/netfilter/nft_quota.c" {
        need quota = "quota",
        need flags = "flags",
        /// Behind a pointer since 5.17.
        need consumed = "consumed",
        maybe in_place = "consumed.counter",
    }
}

layout! {
    /// net/netfilter/nft_connlimit.c
    pub(super) struct ConnlimitLayout = "nft_connlimit" in "net/netfilter/nft_connlimit.c" {
        need limit = "limit",
        need invert = "invert",
    }
}

layout! {
    /// include/net/netfilter/nft_fib.h
    pub(super) struct FibLayout = "nft_fib" in "net/netfilter/nft_fib.c" {
        need dreg = "dreg",
        need result = "result",
        need flags = "flags",
    }
}

layout! {
    /// net/netfilter/nft_socket.c
    pub(super) struct SocketLayout = "nft_socket" in "net/netfilter/nft_socket.c" {
        need key = "key",
        maybe level = "level_user" | "level",
        need dreg = "dreg",
    }
}

layout! {
    /// net/netfilter/nft_tproxy.c
    pub(super) struct TproxyLayout = "nft_tproxy" in "net/netfilter/nft_tproxy.c" {
        need addr = "sreg_addr",
        need port = "sreg_port",
        need family = "family",
    }
}

layout! {
    /// net/netfilter/nft_numgen.c
    pub(super) struct CountingLayout = "nft_ng_inc" in "net/netfilter/nft_numgen.c" {
        need dreg = "dreg",
        need modulus = "modulus",
        need offset = "offset",
    }
}

layout! {
    /// net/netfilter/nft_numgen.c
    pub(super) struct RandomLayout = "nft_ng_random" in "net/netfilter/nft_numgen.c" {
        need dreg = "dreg",
        need modulus = "modulus",
        need offset = "offset",
    }
}

layout! {
    /// net/netfilter/nft_hash.c
    pub(super) struct JhashLayout = "nft_jhash" in "net/netfilter/nft_hash.c" {
        need sreg = "sreg",
        need dreg = "dreg",
        need length = "len",
        need own_seed = "autogen_seed",
        need modulus = "modulus",
        need seed = "seed",
        need offset = "offset",
    }
}

layout! {
    /// net/netfilter/nft_hash.c
    pub(super) struct SymhashLayout = "nft_symhash" in "net/netfilter/nft_hash.c" {
        need dreg = "dreg",
        need modulus = "modulus",
        need offset = "offset",
    }
}

layout! {
    /// net/ipv4/netfilter/nft_dup_ipv4.c
    pub(super) struct DupIpv4Layout = "nft_dup_ipv4" in "net/ipv4/netfilter/nft_dup_ipv4.c" {
        need addr = "sreg_addr",
        need dev = "sreg_dev",
    }
}

layout! {
    /// net/ipv6/netfilter/nft_dup_ipv6.c
    pub(super) struct DupIpv6Layout = "nft_dup_ipv6" in "net/ipv6/netfilter/nft_dup_ipv6.c" {
        need addr = "sreg_addr",
        need dev = "sreg_dev",
    }
}

layout! {
    /// net/netfilter/nft_dup_netdev.c
    pub(super) struct DupNetdevLayout = "nft_dup_netdev" in "net/netfilter/nft_dup_netdev.c" {
        need dev = "sreg_dev",
    }
}

layout! {
    /// net/netfilter/nft_fwd_netdev.c
    pub(super) struct FwdLayout = "nft_fwd_netdev" in "net/netfilter/nft_fwd_netdev.c" {
        need dev = "sreg_dev",
    }
}

layout! {
    /// net/netfilter/nft_fwd_netdev.c
    pub(super) struct FwdNeighLayout = "nft_fwd_neigh" in "net/netfilter/nft_fwd_netdev.c" {
        need dev = "sreg_dev",
        need addr = "sreg_addr",
        need family = "nfproto",
    }
}

layout! {
    /// net/netfilter/nft_flow_offload.c
    pub(super) struct OffloadLayout = "nft_flow_offload" in "net/netfilter/nft_flow_offload.c" {
        need flowtable = "flowtable",
    }
}

layout! {
    /// net/netfilter/nft_synproxy.c
    pub(super) struct SynproxyLayout = "nft_synproxy" in "net/netfilter/nft_synproxy.c" {
        need options = "info.options",
        need wscale = "info.wscale",
        need mss = "info.mss",
    }
}

layout! {
    /// net/netfilter/nft_osf.c
    pub(super) struct OsfLayout = "nft_osf" in "net/netfilter/nft_osf.c" {
        need dreg = "dreg",
        need ttl = "ttl",
        maybe flags = "flags",
    }
}

layout! {
    /// net/netfilter/nft_xfrm.c
    pub(super) struct XfrmLayout = "nft_xfrm" in "net/netfilter/nft_xfrm.c" {
        need key = "key",
        need dreg = "dreg",
        need dir = "dir",
        need spnum = "spnum",
    }
}

layout! {
    /// net/netfilter/nft_tunnel.c
    pub(super) struct TunnelLayout = "nft_tunnel" in "net/netfilter/nft_tunnel.c" {
        need key = "key",
        need dreg = "dreg",
    }
}
