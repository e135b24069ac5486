//! The structures of ipset and the members of them that are read.

use crate::kernel::layout::layout;

layout! {
    /// net/netfilter/ipset/ip_set_core.c
    pub(super) struct IpsetNetLayout = "ip_set_net" in "net/netfilter/ipset/ip_set_core.c" {
        need list = "ip_set_list",
        need max = "ip_set_max",
    }
}

layout! {
    /// include/linux/netfilter/ipset/ip_set.h
    pub(super) struct SetLayout = "ip_set" in "net/netfilter/ipset/ip_set_core.c" {
        need name = "name",
        need kind = "type",
        need references = "ref",
        need family = "family",
        need extensions = "extensions",
        need timeout = "timeout",
        need element_size = "dsize",
        need offsets = "offset",
        need data = "data",
    }
}

layout! {
    /// include/linux/netfilter/ipset/ip_set.h
    pub(super) struct TypeLayout = "ip_set_type" in "net/netfilter/ipset/ip_set_core.c" {
        need name = "name",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_hash_gen.h
    pub(super) struct TableLayout = "htable" in "net/netfilter/ipset/ip_set_hash_ip.c" {
        need bits = "htable_bits",
        need buckets = "bucket",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_hash_gen.h
    pub(super) struct BucketLayout = "hbucket" in "net/netfilter/ipset/ip_set_hash_ip.c" {
        need used = "used",
        need position = "pos",
        need value = "value",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_bitmap_ip.c
    pub(super) struct BitmapIpLayout = "bitmap_ip" in "net/netfilter/ipset/ip_set_bitmap_ip.c" {
        need members = "members",
        need first = "first_ip",
        need last = "last_ip",
        need elements = "elements",
        need hosts = "hosts",
        need netmask = "netmask",
        need extensions = "extensions",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_bitmap_ipmac.c
    pub(super) struct BitmapIpmacLayout = "bitmap_ipmac" in "net/netfilter/ipset/ip_set_bitmap_ipmac.c" {
        need members = "members",
        need first = "first_ip",
        need last = "last_ip",
        need elements = "elements",
        need extensions = "extensions",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_bitmap_port.c
    pub(super) struct BitmapPortLayout = "bitmap_port" in "net/netfilter/ipset/ip_set_bitmap_port.c" {
        need members = "members",
        need first = "first_port",
        need last = "last_port",
        need elements = "elements",
        need extensions = "extensions",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_list_set.c
    pub(super) struct ListLayout = "list_set" in "net/netfilter/ipset/ip_set_list_set.c" {
        need size = "size",
        need members = "members",
    }
}

layout! {
    /// net/netfilter/ipset/ip_set_list_set.c
    pub(super) struct ListElementLayout = "set_elem" in "net/netfilter/ipset/ip_set_list_set.c" {
        need list = "list",
        need id = "id",
    }
}
