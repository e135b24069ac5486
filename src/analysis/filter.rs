//! Which connections are wanted.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::subsys::net::conntrack::entry::Entry;
use crate::subsys::net::conntrack::state::status;

/// Conditions on a connection; those that are `None` or empty hold for all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Protocol number.
    pub proto: Option<u8>,
    /// Original source.
    pub src: Option<IpNet>,
    /// Original destination.
    pub dst: Option<IpNet>,
    /// Reply source.
    pub reply_src: Option<IpNet>,
    /// Reply destination.
    pub reply_dst: Option<IpNet>,
    /// Original source port.
    pub orig_port_src: Option<u16>,
    /// Original destination port.
    pub orig_port_dst: Option<u16>,
    /// Reply source port.
    pub reply_port_src: Option<u16>,
    /// Reply destination port.
    pub reply_port_dst: Option<u16>,
    /// The protocol's state.
    pub state: Option<String>,
    /// Names of status bits that must be set; `UNREPLIED` is the absence of `SEEN_REPLY`.
    pub status: Vec<String>,
    /// Zone.
    pub zone: Option<u16>,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// Only translated connections.
    pub nat_only: bool,
}

impl Filter {
    /// Whether the connection is wanted.
    pub fn matches(&self, entry: &Entry) -> bool {
        let [orig, reply] = &entry.tuples;
        let within = |net: &Option<IpNet>, ip: IpAddr| net.is_none_or(|net| net.contains(&ip));
        let port = |want: Option<u16>, port: Option<u16>| want.is_none() || want == port;
        self.proto.is_none_or(|proto| proto == orig.l4num)
            && within(&self.src, orig.src)
            && within(&self.dst, orig.dst)
            && within(&self.reply_src, reply.src)
            && within(&self.reply_dst, reply.dst)
            && port(self.orig_port_src, orig.sport())
            && port(self.orig_port_dst, orig.dport())
            && port(self.reply_port_src, reply.sport())
            && port(self.reply_port_dst, reply.dport())
            && (self.state.as_deref()).is_none_or(|state| {
                entry
                    .state
                    .is_some_and(|own| own.eq_ignore_ascii_case(state))
            })
            && self.status.iter().all(|name| has_status(entry, name))
            && self
                .zone
                .is_none_or(|zone| entry.zone.is_some_and(|(own, _)| own == zone))
            && self
                .mark
                .is_none_or(|(mark, mask)| entry.mark.is_some_and(|own| own & mask == mark))
            && (!self.nat_only || entry.is(status::SRC_NAT | status::DST_NAT))
    }
}

fn has_status(entry: &Entry, name: &str) -> bool {
    if name.eq_ignore_ascii_case("UNREPLIED") {
        return !entry.is(status::SEEN_REPLY);
    }
    status::names(entry.status).any(|own| own.eq_ignore_ascii_case(name))
}
