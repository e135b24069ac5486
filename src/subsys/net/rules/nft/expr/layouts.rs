//! The private structures of expressions, each in the module that evaluates it.

use crate::kernel::layout::layout;

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct OpsLayout = "nft_expr_ops" in "net/netfilter/nf_tables_api.c" {
        need size = "size",
        need kind = "type",
        need data = "data",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct TypeLayout = "nft_expr_type" in "net/netfilter/nf_tables_api.c" {
        need name = "name",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    pub(super) struct MatchLayout = "xt_match" in "net/netfilter/nft_compat.c" | "net/netfilter/x_tables.c" {
        need name = "name",
        need revision = "revision",
        need size = "matchsize",
    }
}

layout! {
    /// include/linux/netfilter/x_tables.h
    pub(super) struct TargetLayout = "xt_target" in "net/netfilter/nft_compat.c" | "net/netfilter/x_tables.c" {
        need name = "name",
        need revision = "revision",
        need size = "targetsize",
    }
}

layout! {
    /// net/netfilter/nft_payload.c
    pub(super) struct PayloadLayout = "nft_payload" in "net/netfilter/nft_payload.c" {
        need base = "base",
        need offset = "offset",
        need length = "len",
        need dreg = "dreg",
    }
}

layout! {
    /// net/netfilter/nft_payload.c
    pub(super) struct PayloadSetLayout = "nft_payload_set" in "net/netfilter/nft_payload.c" {
        need base = "base",
        need offset = "offset",
        need length = "len",
        need sreg = "sreg",
        need csum_type = "csum_type",
        need csum_offset = "csum_offset",
        maybe csum_flags = "csum_flags",
    }
}

layout! {
    /// net/netfilter/nft_cmp.c
    pub(super) struct CmpLayout = "nft_cmp_expr" in "net/netfilter/nft_cmp.c" {
        need data = "data",
        need sreg = "sreg",
        need length = "len",
        need op = "op",
    }
}

layout! {
    /// include/net/netfilter/nf_tables_core.h
    pub(super) struct CmpFastLayout = "nft_cmp_fast_expr" in "net/netfilter/nft_cmp.c" {
        need data = "data",
        need sreg = "sreg",
        need length = "len",
        /// 5.10 and later.
        maybe inverted = "inv",
    }
}

layout! {
    /// include/net/netfilter/nf_tables_core.h, 5.18 and later.
    pub(super) struct Cmp16Layout = "nft_cmp16_fast_expr" in "net/netfilter/nft_cmp.c" {
        need data = "data",
        need sreg = "sreg",
        need length = "len",
        need inverted = "inv",
    }
}

layout! {
    /// net/netfilter/nft_bitwise.c
    pub(super) struct BitwiseLayout = "nft_bitwise" in "net/netfilter/nft_bitwise.c" {
        need sreg = "sreg",
        need dreg = "dreg",
        need length = "len",
        need mask = "mask",
        need xor = "xor",
        /// 5.6 and later.
        maybe op = "op",
        maybe data = "data",
        /// 6.13 and later.
        maybe sreg2 = "sreg2",
    }
}

layout! {
    /// include/net/netfilter/nf_tables_core.h, 5.10 and later.
    pub(super) struct BitwiseFastLayout = "nft_bitwise_fast_expr" in "net/netfilter/nft_bitwise.c" {
        need mask = "mask",
        need xor = "xor",
        need sreg = "sreg",
        need dreg = "dreg",
    }
}

layout! {
    /// include/net/netfilter/nf_tables_core.h
    pub(super) struct ImmediateLayout = "nft_immediate_expr" in "net/netfilter/nft_immediate.c" {
        need data = "data",
        need dreg = "dreg",
        need dlen = "dlen",
    }
}

layout! {
    /// include/net/netfilter/nft_meta.h
    pub(super) struct MetaLayout = "nft_meta" in "net/netfilter/nft_meta.c" {
        need key = "key",
        need dreg = "dreg",
    }
}

layout! {
    /// net/netfilter/nft_ct.c
    pub(super) struct CtLayout = "nft_ct" in "net/netfilter/nft_ct.c" {
        need key = "key",
        need dir = "dir",
        need dreg = "dreg",
    }
}

layout! {
    /// net/netfilter/nft_lookup.c
    pub(super) struct LookupLayout = "nft_lookup" in "net/netfilter/nft_lookup.c" {
        need set = "set",
        need sreg = "sreg",
        need dreg = "dreg",
        /// 6.5 and later.
        maybe dreg_set = "dreg_set",
        need invert = "invert",
    }
}

layout! {
    /// net/netfilter/nft_dynset.c
    pub(super) struct DynsetLayout = "nft_dynset" in "net/netfilter/nft_dynset.c" {
        need set = "set",
        need op = "op",
        need sreg_key = "sreg_key",
        need sreg_data = "sreg_data",
        need invert = "invert",
        need timeout = "timeout",
        /// 5.11 and later.
        maybe exprs = "expr_array",
        maybe expr_count = "num_exprs",
        /// Up to 5.10.
        maybe expr = "expr",
    }
}

layout! {
    /// net/netfilter/nft_objref.c
    pub(super) struct ObjrefMapLayout = "nft_objref_map" in "net/netfilter/nft_objref.c" {
        need set = "set",
        need sreg = "sreg",
    }
}

layout! {
    /// net/netfilter/nft_range.c
    pub(super) struct RangeLayout = "nft_range_expr" in "net/netfilter/nft_range.c" {
        need from = "data_from",
        need to = "data_to",
        need sreg = "sreg",
        need length = "len",
        need op = "op",
    }
}

layout! {
    /// net/netfilter/nft_byteorder.c
    pub(super) struct ByteorderLayout = "nft_byteorder" in "net/netfilter/nft_byteorder.c" {
        need sreg = "sreg",
        need dreg = "dreg",
        need op = "op",
        maybe length = "len",
        need size = "size",
    }
}

layout! {
    /// net/netfilter/nft_exthdr.c
    pub(super) struct ExthdrLayout = "nft_exthdr" in "net/netfilter/nft_exthdr.c" {
        need kind = "type",
        need offset = "offset",
        need length = "len",
        maybe op = "op",
        need dreg = "dreg",
        maybe sreg = "sreg",
        maybe flags = "flags",
    }
}

layout! {
    /// net/netfilter/nft_rt.c
    pub(super) struct RtLayout = "nft_rt" in "net/netfilter/nft_rt.c" {
        need key = "key",
        need dreg = "dreg",
    }
}

layout! {
    /// net/netfilter/nft_counter.c
    pub(super) struct CounterLayout = "nft_counter_percpu_priv" in "net/netfilter/nft_counter.c" {
        need counter = "counter",
    }
}

layout! {
    /// net/netfilter/nft_last.c
    pub(super) struct LastLayout = "nft_last_priv" in "net/netfilter/nft_last.c" {
        need last = "last",
    }
}

layout! {
    /// net/netfilter/nft_last.c
    pub(super) struct LastStampLayout = "nft_last" in "net/netfilter/nft_last.c" {
        need jiffies = "jiffies",
        need set = "set",
    }
}

layout! {
    /// net/netfilter/nft_inner.c, 6.2 and later.
    pub(super) struct InnerLayout = "nft_inner" in "net/netfilter/nft_inner.c" {
        need flags = "flags",
        need header_size = "hdrsize",
        need kind = "type",
        need expr = "expr",
    }
}
