//! The structures of nf_tables and the members of them that are read.

use crate::kernel::layout::layout;

layout! {
    /// include/net/net_namespace.h, include/net/netns/nftables.h
    pub(super) struct NftNetLayout = "net" in "net/core/net_namespace.c" {
        maybe gencursor = "nft.gencursor",
        /// 4.18 to 5.12.
        maybe tables = "nft.tables",
        /// Up to 4.16 (commits dd4cbef72351, 36596dadf54a): tables are listed by family.
        maybe families = "nft.af_info",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h, up to 4.16.
    pub(super) struct FamilyLayout = "nft_af_info" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need family = "family",
        need tables = "tables",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h, 5.13 and later, and stable kernels before.
    pub(super) struct NftPernetLayout = "nftables_pernet" in "net/netfilter/nf_tables_api.c" {
        need tables = "tables",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct TableLayout = "nft_table" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need chains = "chains",
        need sets = "sets",
        /// 4.10 and later (commit e50092404c1b).
        maybe objects = "objects",
        /// 4.16 and later (commit 3b49e2e94e6e).
        maybe flowtables = "flowtables",
        /// 4.17 and later (commit 3ecbfd65f50e).
        maybe handle = "handle",
        need uses = "use",
        maybe family = "family",
        need flags = "flags",
        /// 4.8 and later, as in chains and sets.
        maybe genmask = "genmask",
        /// In the structure itself up to 4.13, as with chains and sets.
        need name = "name",
        /// 5.10 and later.
        maybe udlen = "udlen",
        maybe udata = "udata",
        maybe owner = "nlpid",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct ChainLayout = "nft_chain" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need rules = "rules",
        need handle = "handle",
        need uses = "use",
        need flags = "flags",
        maybe genmask = "genmask",
        need name = "name",
        maybe udlen = "udlen",
        maybe udata = "udata",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct BaseChainLayout = "nft_base_chain" in "net/netfilter/nf_tables_api.c" {
        /// An array up to 4.15 (commit c2f9eafee9aa).
        need ops = "ops",
        need kind = "type",
        need policy = "policy",
        need stats = "stats",
        need chain = "chain",
        /// 5.5 and later.
        maybe hooks = "hook_list",
        /// 4.18.
        maybe device_name = "dev_name",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct ChainTypeLayout = "nft_chain_type" in "net/netfilter/nf_tables_api.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h, up to 4.15.
    pub(super) struct OldChainTypeLayout = "nf_chain_type" in "net/netfilter/nf_tables_api.c" {
        need name = "name",
    }
}

layout! {
    /// include/linux/netfilter.h
    pub(super) struct BaseHookLayout = "nf_hook_ops" in "net/netfilter/nf_tables_api.c" {
        need hooknum = "hooknum",
        need priority = "priority",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct HookLayout = "nft_hook" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        /// Up to 6.15.
        maybe device = "ops.dev",
        /// 6.16 and later: a name without its NUL is a pattern.
        maybe name = "ifname",
        maybe name_len = "ifnamelen",
    }
}

layout! {
    /// include/linux/netdevice.h
    pub(super) struct HookDeviceLayout = "net_device" in "net/core/dev.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct RuleLayout = "nft_rule" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need handle = "handle",
        need genmask = "genmask",
        need dlen = "dlen",
        need udata = "udata",
        need data = "data",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct SetLayout = "nft_set" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need name = "name",
        maybe handle = "handle",
        need key_type = "ktype",
        need data_type = "dtype",
        /// 4.10 and later.
        maybe object_type = "objtype",
        need size = "size",
        need elements = "nelems.counter",
        need inactive = "ndeact",
        need timeout = "timeout",
        need gc_interval = "gc_int",
        need policy = "policy",
        need udlen = "udlen",
        need udata = "udata",
        need ops = "ops",
        need flags = "flags",
        maybe genmask = "genmask",
        need key_len = "klen",
        need data_len = "dlen",
        need data = "data",
        /// 5.10 and later.
        maybe field_len = "field_len",
        maybe field_count = "field_count",
        /// 5.11 and later.
        maybe exprs = "exprs",
        maybe expr_count = "num_exprs",
        /// 5.10.
        maybe expr = "expr",
        /// 5.13 and later.
        maybe catchall = "catchall_list",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct SetOpsLayout = "nft_set_ops" in "net/netfilter/nf_tables_api.c" {
        need element_size = "elemsize",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct SetExtLayout = "nft_set_ext" in "net/netfilter/nf_tables_api.c" {
        need genmask = "genmask",
        need offsets = "offset",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct CatchallLayout = "nft_set_elem_catchall" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need element = "elem",
    }
}

layout! {
    /// net/netfilter/nft_set_hash.c
    pub(super) struct RhashLayout = "nft_rhash" in "net/netfilter/nft_set_hash.c" {
        need table = "ht",
    }
}

layout! {
    /// net/netfilter/nft_set_hash.c
    pub(super) struct RhashElementLayout = "nft_rhash_elem" in "net/netfilter/nft_set_hash.c" {
        need node = "node",
        need ext = "ext",
    }
}

layout! {
    /// net/netfilter/nft_set_hash.c
    pub(super) struct OldHashLayout = "nft_hash" in "net/netfilter/nft_hash.c" {
        /// Up to 4.12: as later nft_rhash.
        need table = "ht",
    }
}

layout! {
    /// net/netfilter/nft_hash.c
    pub(super) struct OldHashElementLayout = "nft_hash_elem" in "net/netfilter/nft_hash.c" {
        need node = "node",
        need ext = "ext",
    }
}

layout! {
    /// net/netfilter/nft_set_hash.c
    pub(super) struct HashLayout = "nft_hash" in "net/netfilter/nft_set_hash.c" {
        need buckets = "buckets",
        need table = "table",
    }
}

layout! {
    /// net/netfilter/nft_set_hash.c
    pub(super) struct HashElementLayout = "nft_hash_elem" in "net/netfilter/nft_set_hash.c" {
        need node = "node",
        need ext = "ext",
    }
}

layout! {
    /// net/netfilter/nft_set_bitmap.c
    pub(super) struct BitmapLayout = "nft_bitmap" in "net/netfilter/nft_set_bitmap.c" {
        need list = "list",
    }
}

layout! {
    /// net/netfilter/nft_set_bitmap.c
    pub(super) struct BitmapElementLayout = "nft_bitmap_elem" in "net/netfilter/nft_set_bitmap.c" {
        need head = "head",
        need ext = "ext",
    }
}

layout! {
    /// net/netfilter/nft_set_rbtree.c
    pub(super) struct RbtreeLayout = "nft_rbtree" in "net/netfilter/nft_set_rbtree.c" | "net/netfilter/nft_rbtree.c" {
        need root = "root",
    }
}

layout! {
    /// net/netfilter/nft_set_rbtree.c
    pub(super) struct RbtreeElementLayout = "nft_rbtree_elem" in "net/netfilter/nft_set_rbtree.c" | "net/netfilter/nft_rbtree.c" {
        need node = "node",
        need ext = "ext",
    }
}

layout! {
    /// net/netfilter/nft_set_pipapo.h
    pub(super) struct PipapoLayout = "nft_pipapo" in "net/netfilter/nft_set_pipapo.c" {
        need matching = "match",
    }
}

layout! {
    /// net/netfilter/nft_set_pipapo.h
    pub(super) struct PipapoMatchLayout = "nft_pipapo_match" in "net/netfilter/nft_set_pipapo.c" {
        need field_count = "field_count",
        need fields = "f",
    }
}

layout! {
    /// net/netfilter/nft_set_pipapo.h
    pub(super) struct PipapoFieldLayout = "nft_pipapo_field" in "net/netfilter/nft_set_pipapo.c" {
        need rules = "rules",
        need map = "mt",
    }
}

layout! {
    /// net/netfilter/nft_set_pipapo.h
    pub(super) struct PipapoElementLayout = "nft_pipapo_elem" in "net/netfilter/nft_set_pipapo.c" {
        need ext = "ext",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct ObjectLayout = "nft_object" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need name = "key.name" | "name",
        need genmask = "genmask",
        need uses = "use",
        need handle = "handle",
        maybe udlen = "udlen",
        maybe udata = "udata",
        need ops = "ops",
        need data = "data",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct ObjectOpsLayout = "nft_object_ops" in "net/netfilter/nf_tables_api.c" {
        need size = "size",
        need kind = "type",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct ObjectTypeLayout = "nft_object_type" in "net/netfilter/nf_tables_api.c" {
        need kind = "type",
    }
}

layout! {
    /// include/net/netfilter/nf_tables.h
    pub(super) struct FlowtableLayout = "nft_flowtable" in "net/netfilter/nf_tables_api.c" {
        need list = "list",
        need name = "name",
        need hooknum = "hooknum",
        need genmask = "genmask",
        need uses = "use",
        need handle = "handle",
        maybe hooks = "hook_list",
        /// Up to 5.4, an array (commit 3f0465a9ef02).
        maybe ops = "ops",
        maybe ops_len = "ops_len",
        /// In `nf_flowtable` since 5.x.
        need priority = "data.priority" | "priority",
        /// 4.20 and later: none before.
        maybe flags = "data.flags",
    }
}

layout! {
    /// include/linux/netfilter.h
    pub(super) struct HookOpsLayout = "nf_hook_ops" in "net/netfilter/nf_tables_api.c" {
        need device = "dev",
    }
}
