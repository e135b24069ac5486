//! Connections, translations and sockets.

use super::super::column::{Table, flag, made, maybe, some, text, time, unsigned};
use super::memory::openers;
use crate::analysis::nat::Endpoint;
use crate::analysis::nat_rules::RuleRef;
use crate::report::conntrack::{DetailDoc, DirectionDoc, EntryDoc, NatEntryDoc};
use crate::subsys::net::sockets::SocketFacts;

/// A port; what other protocols have is in `orig_id`.
fn port(direction: &DirectionDoc, second: bool) -> Option<u64> {
    match direction.detail {
        DetailDoc::Ports { sport, dport } => Some(if second { dport } else { sport }.into()),
        _ => None,
    }
}

/// ICMP's type, code and identifier, GRE's keys.
fn detail(direction: &DirectionDoc) -> Option<String> {
    match direction.detail {
        DetailDoc::Icmp {
            icmp_type,
            icmp_code,
            icmp_id,
        } => Some(format!("type={icmp_type} code={icmp_code} id={icmp_id}")),
        DetailDoc::Keys { srckey, dstkey } => {
            Some(format!("srckey={srckey:#x} dstkey={dstkey:#x}"))
        }
        DetailDoc::Ports { .. } | DetailDoc::None {} => None,
    }
}

fn end(end: Option<Endpoint>) -> Option<String> {
    let end = end?;
    Some(match end.port {
        Some(port) if end.address.is_ipv6() => format!("[{}]:{port}", end.address),
        Some(port) => format!("{}:{port}", end.address),
        None => end.address.to_string(),
    })
}

/// Those of `conntrack`, of all network namespaces.
pub static CONNECTIONS: Table<EntryDoc> = Table {
    name: "connections",
    about: "An entry of the connection table",
    columns: &[
        text("address", "Of its struct nf_conn", |row| made(row.address)),
        unsigned("netns", "Number of its network namespace", |row| {
            row.netns.map(u64::from)
        }),
        text("l3proto", "ipv4 or ipv6", |row| some(row.l3proto)),
        text("l4proto", "tcp, udp, icmp …", |row| some(row.l4proto)),
        unsigned("l4num", "Its number", |row| Some(row.l4num.into())),
        text("state", "Of the protocols that have some", |row| {
            some(row.state?)
        }),
        unsigned("timeout_seconds", "Left", |row| Some(row.timeout_seconds)),
        flag(
            "expired",
            "None are left, and it was not collected yet",
            |row| Some(row.expired),
        ),
        text("orig_src", "As it came", |row| made(row.original.src)),
        text("orig_dst", "As it came", |row| made(row.original.dst)),
        unsigned("orig_sport", "As it came", |row| port(&row.original, false)),
        unsigned("orig_dport", "As it came", |row| port(&row.original, true)),
        text("orig_detail", "What stands in place of ports", |row| {
            made(detail(&row.original)?)
        }),
        unsigned("orig_packets", "If they are counted", |row| {
            row.original.packets
        }),
        unsigned("orig_bytes", "If they are counted", |row| {
            row.original.bytes
        }),
        text("reply_src", "As answers come", |row| made(row.reply.src)),
        text("reply_dst", "As answers come", |row| made(row.reply.dst)),
        unsigned("reply_sport", "As answers come", |row| {
            port(&row.reply, false)
        }),
        unsigned("reply_dport", "As answers come", |row| {
            port(&row.reply, true)
        }),
        text("reply_detail", "What stands in place of ports", |row| {
            made(detail(&row.reply)?)
        }),
        unsigned("reply_packets", "If they are counted", |row| {
            row.reply.packets
        }),
        unsigned("reply_bytes", "If they are counted", |row| row.reply.bytes),
        text("status", "IPS_* without the prefix, by blanks", |row| {
            made(row.status.join(" "))
        }),
        flag("assured", "Of its status", |row| Some(row.assured)),
        flag("unreplied", "Of its status", |row| Some(row.unreplied)),
        unsigned("mark", "By CONNMARK", |row| row.mark.map(u64::from)),
        unsigned("secmark", "Of SELinux", |row| row.secmark.map(u64::from)),
        unsigned("zone", "Of CT", |row| row.zone.map(u64::from)),
        unsigned("use", "References", |row| Some(row.refs.into())),
        time("start_time", "If it is recorded", |row| {
            row.start_time.as_deref()
        }),
        text("helper", "That looks into it", |row| maybe(&row.helper)),
        text("labels", "As one number", |row| maybe(&row.labels)),
        text("master", "The connection that it was expected of", |row| {
            made(row.master?)
        }),
        text("list", "hash, unconfirmed, dying or unlinked", |row| {
            made(format!("{:?}", row.list).to_lowercase())
        }),
        unsigned("id", "As conntrack -o id shows it", |row| {
            row.id.map(u64::from)
        }),
    ],
};

fn rules(rules: &[RuleRef]) -> String {
    let named = rules.iter().map(|one| {
        let RuleRef {
            filter,
            family,
            table,
            chain,
            handle,
        } = one;
        format!("{filter}:{family}:{table}:{chain}:{handle}")
    });
    named.collect::<Vec<_>>().join(",")
}

/// Those of `nat`.
pub static TRANSLATIONS: Table<NatEntryDoc> = Table {
    name: "translations",
    about: "A connection whose addresses or ports are translated",
    columns: &[
        text(
            "address",
            "Of its struct nf_conn, as in connections",
            |row| made(row.address),
        ),
        unsigned("netns", "Number of its network namespace", |row| {
            row.netns.map(u64::from)
        }),
        text("l4proto", "tcp, udp, icmp …", |row| some(row.l4proto)),
        text("kind", "SNAT, DNAT, MASQUERADE", |row| some(row.kind)),
        text("snat_from", "Address and port", |row| {
            made(end(Some(row.nat.snat?.from))?)
        }),
        text("snat_to", "Address and port", |row| {
            made(end(Some(row.nat.snat?.to))?)
        }),
        text("dnat_from", "Address and port", |row| {
            made(end(Some(row.nat.dnat?.from))?)
        }),
        text("dnat_to", "Address and port", |row| {
            made(end(Some(row.nat.dnat?.to))?)
        }),
        text("masquerade_device", "Its name", |row| {
            maybe(&row.masquerade_device)
        }),
        text(
            "snat_rules",
            "That can have done it, likeliest first, by commas",
            |row| made(rules(&row.snat_rules)),
        ),
        text(
            "dnat_rules",
            "That can have done it, likeliest first, by commas",
            |row| made(rules(&row.dnat_rules)),
        ),
        unsigned("timeout_seconds", "Left", |row| Some(row.timeout_seconds)),
        flag("expired", "None are left", |row| Some(row.expired)),
    ],
};

/// Those of `sockets`, of all network namespaces.
pub static SOCKETS: Table<SocketFacts> = Table {
    name: "sockets",
    about: "A socket",
    columns: &[
        text("address", "Of its struct sock", |row| made(row.address)),
        unsigned("netns", "Number of its network namespace", |row| {
            row.netns.map(u64::from)
        }),
        text("kind", "tcp, udp, unix …", |row| some(row.kind.name())),
        text("family", "inet, inet6, unix …", |row| some(row.family)),
        text("type", "stream, dgram …", |row| some(row.type_name)),
        unsigned("protocol", "Its number", |row| Some(row.protocol)),
        text("state", "As ss names it", |row| some(row.state)),
        text("local", "As ss prints it", |row| some(&row.local)),
        text("remote", "As ss prints it", |row| some(&row.remote)),
        unsigned("recv_q", "As ss counts", |row| Some(row.recv_q)),
        unsigned("send_q", "As ss counts", |row| Some(row.send_q)),
        unsigned("skbs", "Buffers on all queues", |row| Some(row.skbs)),
        unsigned("truesize_bytes", "What these are charged for", |row| {
            Some(row.truesize)
        }),
        unsigned("rmem_alloc_bytes", "Charged for receiving", |row| {
            Some(row.limits.as_ref()?.rmem_alloc_bytes)
        }),
        unsigned("rcvbuf_bytes", "Limit of it", |row| {
            Some(row.limits.as_ref()?.rcvbuf_bytes)
        }),
        unsigned("wmem_alloc_bytes", "Charged for sending", |row| {
            Some(row.limits.as_ref()?.wmem_alloc_bytes)
        }),
        unsigned("sndbuf_bytes", "Limit of it", |row| {
            Some(row.limits.as_ref()?.sndbuf_bytes)
        }),
        unsigned("drops", "Of what came", |row| {
            Some(row.limits.as_ref()?.drops)
        }),
        unsigned("inode", "Its number; 0 if it has none", |row| {
            Some(row.inode)
        }),
        unsigned("uid", "Whose it is", |row| Some(row.uid)),
        text("held_by", "process, orphan, protocol, kernel …", |row| {
            some(row.held_by.name())
        }),
        text("owners", "Name, pid and descriptor, by commas", |row| {
            made(openers(&row.owners))
        }),
        unsigned("mark", "By SO_MARK", |row| Some(row.mark)),
        unsigned("refcount", "References", |row| Some(row.refcount)),
        text("cgroup", "Its path", |row| maybe(&row.cgroup)),
    ],
};
