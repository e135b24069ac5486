//! Data of matches and targets (`struct xt_*_info`, which are uapi) made of what nf_tables says by
//! expressions of its own.

use super::header::Side;
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::expr::CmpOp;
use crate::subsys::net::rules::xt::Extension;

fn made(name: &str, revision: u8, parts: &[&[u8]]) -> Extension {
    Extension {
        name: name.to_owned(),
        revision,
        info: Hex(parts.concat()),
    }
}

/// A text that ends with a zero, in `len` bytes.
fn text(of: &str, len: usize) -> Vec<u8> {
    let mut bytes = of.as_bytes().to_vec();
    bytes.truncate(len.saturating_sub(1));
    bytes.resize(len, 0);
    bytes
}

/// `xt_comment_info`.
pub(super) fn comment(comment: &str) -> Extension {
    made("comment", 0, &[&text(comment, 256)])
}

/// `xt_rateinfo`, in ten thousandths of a second.
pub(super) fn limit(rate: u64, unit_seconds: u64, burst: u32) -> Option<Extension> {
    let period = unit_seconds.checked_mul(10_000)?.checked_div(rate)?;
    let period = u32::try_from(period).ok()?;
    let parts = [&period.to_ne_bytes()[..], &burst.to_ne_bytes()];
    Some(made("limit", 0, &parts))
}

/// `xt_mark_mtinfo1`.
pub(super) fn mark(data: &[u8], mask: Option<&[u8]>, inverted: bool) -> Option<Extension> {
    let mask = mask.unwrap_or(&[0xff; 4]);
    let parts = [data.get(..4)?, mask.get(..4)?, &[u8::from(inverted)]];
    Some(made("mark", 1, &parts))
}

/// `xt_mark_tginfo2`.
pub(super) fn mark_target(data: &[u8], mask: Option<&[u8]>) -> Option<Extension> {
    let mask = mask.unwrap_or(&[0xff; 4]);
    Some(made("MARK", 2, &[data.get(..4)?, mask.get(..4)?]))
}

/// `xt_pkttype_info`.
pub(super) fn packet_type(data: &[u8], inverted: bool) -> Option<Extension> {
    let kind = i32::from(*data.first()?).to_ne_bytes();
    let inverted = i32::from(inverted).to_ne_bytes();
    Some(made("pkttype", 0, &[&kind, &inverted]))
}

/// `TRACE` has no data.
pub(super) fn trace() -> Extension {
    made("TRACE", 0, &[])
}

/// `xt_nflog_info`, with the longer prefix that nf_tables has.
pub(super) fn nflog(prefix: &str, group: u16, snaplen: u32, threshold: u16) -> Extension {
    let flags = u16::from(snaplen != 0);
    let parts = [
        &snaplen.to_ne_bytes()[..],
        &group.to_ne_bytes(),
        &threshold.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &[0; 2],
        &text(prefix, 128),
    ];
    made("NFLOG", 0, &parts)
}

/// `ipt_ttl_info`, `ip6t_hl_info`.
pub(super) fn hops(family: u8, op: CmpOp, data: &[u8]) -> Option<Extension> {
    let hops = *data.first()?;
    let (mode, hops) = match op {
        CmpOp::Eq => (0, hops),
        CmpOp::Neq => (1, hops),
        CmpOp::Lt => (2, hops),
        CmpOp::Lte => (2, hops.checked_add(1)?),
        CmpOp::Gt => (3, hops),
        CmpOp::Gte => (3, hops.checked_sub(1)?),
    };
    let name = if family == 10 { "hl" } else { "ttl" };
    Some(made(name, 0, &[&[mode, hops]]))
}

/// `ipt_icmp`, `ip6t_icmp`: a kind, or a kind with its code, or of ICMP a code alone.
pub(super) fn icmp(family: u8, offset: u32, data: &[u8]) -> Option<Extension> {
    let (kind, codes) = match (offset, data) {
        (0, &[kind]) => (kind, [0, 0xff]),
        (0, &[kind, code]) => (kind, [code; 2]),
        (1, &[code]) if family != 10 => (0xff, [code; 2]),
        _ => return None,
    };
    let name = if family == 10 { "icmp6" } else { "icmp" };
    Some(made(name, 0, &[&[kind], &codes, &[0]]))
}

/// `xt_tcp` or `xt_udp` that fits all.
pub(super) fn any_ports(name: &str) -> Extension {
    let all = [0, 0, 0xff, 0xff];
    let rest: &[u8] = if name == "tcp" { &[0; 4] } else { &[0; 2] };
    made(name, 0, &[&all, &all, rest])
}

/// `xt_tcp` or `xt_udp` on its way. Ports come in the network's order.
pub(super) struct Ports<'e>(pub(super) &'e mut Extension);

impl Ports<'_> {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let all = self.0.info.0.iter_mut().skip(at);
        for (to, from) in all.zip(bytes) {
            *to = *from;
        }
    }

    fn invert(&mut self, bit: u8, inverted: bool) {
        let at = if self.0.name == "tcp" { 11 } else { 8 };
        if let Some(all) = self.0.info.0.get_mut(at) {
            *all |= if inverted { bit } else { 0 };
        }
    }

    /// A port by what it is compared with.
    pub(super) fn single(&mut self, side: Side, op: CmpOp, port: [u8; 2]) {
        let at = 4 * side as usize;
        let port = u16::from_be_bytes(port);
        let (low, high) = match op {
            CmpOp::Eq | CmpOp::Neq => (Some(port), Some(port)),
            CmpOp::Lt => (None, Some(port.saturating_sub(1).max(1))),
            CmpOp::Lte => (None, Some(port)),
            CmpOp::Gt => (Some(port.saturating_add(1)), None),
            CmpOp::Gte => (Some(port), None),
        };
        if let Some(low) = low {
            self.put(at, &low.to_ne_bytes());
        }
        if let Some(high) = high {
            self.put(at + 2, &high.to_ne_bytes());
        }
        self.invert(1 << side as u8, op == CmpOp::Neq);
    }

    pub(super) fn range(&mut self, side: Side, from: [u8; 2], to: [u8; 2], inverted: bool) {
        let ports = [from, to].map(|port| u16::from_be_bytes(port).to_ne_bytes());
        self.put(4 * side as usize, ports.as_flattened());
        self.invert(1 << side as u8, inverted);
    }

    /// Of TCP.
    pub(super) fn flags(&mut self, mask: u8, wanted: u8, inverted: bool) {
        self.put(9, &[mask, wanted]);
        self.invert(4, inverted);
    }
}
