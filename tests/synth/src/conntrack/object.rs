//! `nf_conn`: an entry as the kernel has it in memory.

use std::net::IpAddr;

use super::entry::{Entry, HZ, State};
use super::fields::Fields;
use super::status::{CONFIRMED, DCCP, DCCP_STATES, SCTP_STATES, TCP_STATES, UDPLITE};
use super::tuple::{L4, Tuple};
use crate::era::Era;
use crate::machine::identity::JIFFIES;

/// Addresses that an `nf_conn` holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Links {
    /// `ct_net.net`.
    pub(super) net: u64,
    /// `ext`.
    pub(super) ext: u64,
    /// `master`.
    pub(super) master: u64,
}

/// `nf_conn.timeout`: absolute once confirmed.
pub(super) fn raw_timeout(entry: &Entry) -> u32 {
    if entry.status & CONFIRMED == 0 {
        return entry.left as u32;
    }
    (JIFFIES as u32).wrapping_add_signed(entry.left)
}

/// The entry as this era's kernel would keep it: DCCP went in 6.18, UDP-Lite in 7.1,
/// and a protocol that is not known has neither ports nor states.
pub(super) fn as_of(era: Era, mut entry: Entry) -> Entry {
    let unknown = match entry.original.protonum {
        DCCP => !era.has_dccp(),
        UDPLITE => !era.has_udplite(),
        _ => false,
    };
    if unknown {
        entry.state = State::Stateless;
        entry.original.l4 = L4::Nothing;
        entry.reply.l4 = L4::Nothing;
    }
    entry
}

/// The object's bytes, its list nodes left zero.
pub(super) fn bytes(fields: &mut Fields, entry: &Entry, links: Links) -> Vec<u8> {
    let mut bytes = vec![0; fields.sizeof("nf_conn")];
    let zone = (u64::from(entry.zone.dir) << 24) | u64::from(entry.zone.id);
    if fields.has("nf_conn", "timeout.expires") {
        // A timer that runs once the connection is confirmed.
        let expires = match entry.status & CONFIRMED {
            0 => entry.left as u64,
            _ => JIFFIES.wrapping_add_signed(i64::from(entry.left)),
        };
        fields.put(&mut bytes, "nf_conn", "timeout.expires", expires);
        fields.put(&mut bytes, "nf_conn", "timeout.entry.next", links.net);
    } else {
        let timeout = u64::from(raw_timeout(entry));
        fields.put(&mut bytes, "nf_conn", "timeout", timeout);
        fields.put(&mut bytes, "nf_conn", "zone", zone);
    }
    for (path, value) in [
        ("ct_general.use", u64::from(entry.uses)),
        ("status", u64::from(entry.status)),
        ("ct_net", links.net),
        ("master", links.master),
        ("mark", u64::from(entry.mark)),
        ("secmark", u64::from(entry.secmark)),
        ("ext", links.ext),
    ] {
        fields.put(&mut bytes, "nf_conn", path, value);
    }
    let hash = fields.offset("nf_conn", "tuplehash");
    let size = fields.sizeof("nf_conntrack_tuple_hash");
    let start = fields.offset("nf_conntrack_tuple_hash", "tuple");
    for (dir, each) in [&entry.original, &entry.reply].into_iter().enumerate() {
        let at = hash + dir * size + start;
        let end = at + fields.sizeof("nf_conntrack_tuple");
        tuple(fields, &mut bytes[at..end], each, dir as u8);
    }
    state(fields, &mut bytes, entry.state);
    bytes
}

/// A `nf_conntrack_tuple`.
pub(super) fn tuple(fields: &mut Fields, bytes: &mut [u8], tuple: &Tuple, dir: u8) {
    const TAG: &str = "nf_conntrack_tuple";
    address(fields, bytes, "src.u3", tuple.src);
    address(fields, bytes, "dst.u3", tuple.dst);
    let big = |value: u16| u64::from(value.swap_bytes());
    match tuple.l4 {
        L4::Ports { src, dst } | L4::Gre { src, dst } => {
            fields.put(bytes, TAG, "src.u.all", big(src));
            fields.put(bytes, TAG, "dst.u.all", big(dst));
        }
        L4::Icmp { kind, code, id } => {
            fields.put(bytes, TAG, "src.u.icmp.id", big(id));
            fields.put(bytes, TAG, "dst.u.icmp.type", u64::from(kind));
            fields.put(bytes, TAG, "dst.u.icmp.code", u64::from(code));
        }
        L4::Nothing => {}
    }
    fields.put(bytes, TAG, "src.l3num", u64::from(tuple.l3num()));
    fields.put(bytes, TAG, "dst.protonum", u64::from(tuple.protonum));
    fields.put(bytes, TAG, "dst.dir", u64::from(dir));
}

fn address(fields: &mut Fields, bytes: &mut [u8], path: &'static str, address: IpAddr) {
    let tag = "nf_conntrack_tuple";
    match address {
        IpAddr::V4(four) => fields.copy(bytes, tag, path, &four.octets()),
        IpAddr::V6(six) => fields.copy(bytes, tag, path, &six.octets()),
    }
}

fn state(fields: &mut Fields, bytes: &mut [u8], state: State) {
    let number = |names: &[&str], name: &str| {
        let found = names.iter().position(|each| *each == name);
        found.unwrap_or_else(|| panic!("no state {name}")) as u64
    };
    let mut put = |path, value| fields.put(bytes, "nf_conn", path, value);
    match state {
        State::Stateless => {}
        State::Tcp(name) => {
            put("proto.tcp.state", number(TCP_STATES, name));
            put("proto.tcp.last_win", 501);
        }
        State::Sctp(name) => put("proto.sctp.state", number(SCTP_STATES, name)),
        State::Dccp(name) => put("proto.dccp.state", number(DCCP_STATES, name)),
        State::Gre {
            timeout,
            stream_timeout,
        } => {
            put("proto.gre.timeout", u64::from(timeout) * HZ as u64);
            let stream = u64::from(stream_timeout) * HZ as u64;
            put("proto.gre.stream_timeout", stream);
        }
    }
}
