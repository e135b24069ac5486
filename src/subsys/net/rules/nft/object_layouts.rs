//! The private structures of objects that rules name.

use crate::kernel::layout::layout;

layout! {
    /// net/netfilter/nft_ct.c
    pub(super) struct HelperObjectLayout = "nft_ct_helper_obj" in "net/netfilter/nft_ct.c" {
        need helper4 = "helper4",
        need helper6 = "helper6",
        need l4proto = "l4proto",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_helper.h
    pub(super) struct HelperNameLayout = "nf_conntrack_helper" in "net/netfilter/nft_ct.c" {
        need name = "name",
    }
}

layout! {
    /// net/netfilter/nft_ct.c
    pub(super) struct TimeoutObjectLayout = "nft_ct_timeout_obj" in "net/netfilter/nft_ct.c" {
        need timeout = "timeout",
        need l4proto = "l4proto",
    }
}

layout! {
    /// include/net/netfilter/nf_conntrack_timeout.h
    pub(super) struct TimeoutLayout = "nf_ct_timeout" in "net/netfilter/nft_ct.c" {
        need l3num = "l3num",
        need data = "data",
    }
}

layout! {
    /// net/netfilter/nft_ct.c
    pub(super) struct ExpectObjectLayout = "nft_ct_expect_obj" in "net/netfilter/nft_ct.c" {
        need l3num = "l3num",
        need dport = "dport",
        need l4proto = "l4proto",
        need size = "size",
        need timeout = "timeout",
    }
}

layout! {
    /// net/netfilter/nft_meta.c
    pub(super) struct SecmarkLayout = "nft_secmark" in "net/netfilter/nft_meta.c" {
        need context = "ctx",
    }
}
