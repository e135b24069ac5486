//! What expressions load into registers, as nft calls it.

use super::fields;
use super::rule::Context;
use super::terms::{Slot, Term};
use super::types::*;
use crate::subsys::net::rules::nft::expr::{Expr, Reg};

/// Which register gets what; `None` of an expression that loads nothing that is known.
pub(super) fn loaded(context: &mut Context<'_>, expr: &Expr) -> Option<(Reg, Slot)> {
    let (reg, term) = match expr {
        Expr::Immediate { dreg, data } => return Some((*dreg, Slot::Constant(data.0.clone()))),
        Expr::Payload {
            base,
            offset,
            len,
            dreg,
        } => (*dreg, payload(context, *base, *offset, *len)),
        Expr::MetaLoad { name, dreg, .. } => (*dreg, meta(name)),
        Expr::CtLoad {
            name, dreg, dir, ..
        } => (*dreg, ct(name, *dir)),
        Expr::ExthdrLoad {
            proto,
            kind,
            offset,
            len,
            present,
            dreg,
        } => (*dreg, extension(proto, *kind, *offset, *len, *present)?),
        Expr::Rt { name, dreg, .. } => (*dreg, route(name)),
        Expr::Fib {
            result,
            flags,
            dreg,
        } => (*dreg, fib(*result, *flags)),
        Expr::Socket { key, level, dreg } => (*dreg, socket(*key, *level)?),
        Expr::Numgen {
            random,
            modulus,
            offset,
            dreg,
        } => {
            let kind = if *random { "random" } else { "inc" };
            (
                *dreg,
                number(format!("numgen {kind} mod {modulus}{}", plus(*offset))),
            )
        }
        Expr::Jhash {
            sreg,
            dreg,
            len,
            modulus,
            seed,
            offset,
        } => {
            let (key, _) = context.key(*sreg, *len as usize)?;
            let seed = seed.map_or(String::new(), |seed| format!(" seed {seed:#x}"));
            let text = format!("jhash {key} mod {modulus}{seed}{}", plus(*offset));
            (*dreg, number(text))
        }
        Expr::Symhash {
            dreg,
            modulus,
            offset,
        } => (
            *dreg,
            number(format!("symhash mod {modulus}{}", plus(*offset))),
        ),
        Expr::Osf { dreg, ttl, flags } => {
            let ttl = ["", " ttl loose", " ttl skip"]
                .get(usize::from(*ttl))
                .unwrap_or(&"");
            let what = if flags & 1 != 0 { "version" } else { "name" };
            (
                *dreg,
                Term::new(format!("osf{ttl} {what}"), STRING, true, 16),
            )
        }
        _ => return None,
    };
    Some((reg, Slot::Term(term)))
}

fn plus(offset: u32) -> String {
    match offset {
        0 => String::new(),
        offset => format!(" offset {offset}"),
    }
}

fn number(text: String) -> Term {
    Term::new(text, INTEGER, true, 4)
}

fn payload(context: &Context<'_>, base: u8, offset: u32, len: u32) -> Term {
    let fields = context.header(base);
    let (start, bits) = (offset * 8, len * 8);
    let exact = fields
        .iter()
        .find(|field| field.offset == start && field.len == bits);
    // Whole bytes of an address in front are a prefix of it.
    let begun = fields
        .iter()
        .find(|field| field.offset == start && field.len > bits && matches!(field.ty, IPV4 | IPV6));
    let mut term = match exact.or(begun) {
        Some(field) => Term::new(field.name, field.ty, false, len as usize),
        None => {
            let base = ["ll", "nh", "th", "ih"]
                .get(usize::from(base))
                .unwrap_or(&"nh");
            Term::new(
                format!("@{base},{start},{bits}"),
                INTEGER,
                false,
                len as usize,
            )
        }
    };
    if exact.is_none() && begun.is_none() && fields.is_empty() {
        return term;
    }
    term.header = Some((start, fields));
    term
}

/// Without `meta` before them.
const PLAIN: [&str; 6] = ["iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"];

fn meta(name: &str) -> Term {
    let (ty, host, len) = match name {
        "protocol" | "bri_iifvproto" => (ETHER_TYPE, false, 2),
        "mark" => (MARK, true, 4),
        "iif" | "oif" | "sdif" => (IFINDEX, true, 4),
        "iifname" | "oifname" | "bri_iifname" | "bri_oifname" | "iifkind" | "oifkind"
        | "sdifname" => (IFNAME, true, 16),
        "nfproto" => (NFPROTO, false, 1),
        "l4proto" => (PROTO, false, 1),
        "pkttype" => (PKT_TYPE, false, 1),
        "hour" => (HOUR, true, 4),
        "day" => (DAY, false, 1),
        "iiftype" | "oiftype" => (INTEGER, true, 2),
        "secpath" | "broute" | "nftrace" => (INTEGER, false, 1),
        "time" => (INTEGER, true, 8),
        "ibrhwaddr" => (ETHER, false, 6),
        _ => (INTEGER, true, 4),
    };
    let mut term = Term::new(meta_name(name), ty, host, len);
    term.presence = name == "secpath";
    term
}

/// As nft calls a key of meta.
pub(super) fn meta_name(name: &str) -> String {
    let own = match name {
        _ if PLAIN.contains(&name) => return name.to_owned(),
        "len" => "length",
        "prandom" => "random",
        "secpath" => "ipsec",
        "bri_iifname" => "ibrname",
        "bri_oifname" => "obrname",
        "bri_iifpvid" => "ibrpvid",
        "bri_iifvproto" => "ibrvproto",
        other => other,
    };
    format!("meta {own}")
}

fn ct(name: &str, dir: Option<&str>) -> Term {
    let (own, ty, host, len) = match name {
        "state" => ("state", CT_STATE, true, 4),
        "direction" => ("direction", CT_DIR, false, 1),
        "status" => ("status", CT_STATUS, true, 4),
        "mark" => ("mark", MARK, true, 4),
        "helper" => ("helper", STRING, true, 16),
        "l3protocol" => ("l3proto", NFPROTO, false, 1),
        "protocol" => ("protocol", PROTO, false, 1),
        "src" | "src_ip" => ("ip saddr", IPV4, false, 4),
        "dst" | "dst_ip" => ("ip daddr", IPV4, false, 4),
        "src_ip6" => ("ip6 saddr", IPV6, false, 16),
        "dst_ip6" => ("ip6 daddr", IPV6, false, 16),
        "proto_src" => ("proto-src", SERVICE, false, 2),
        "proto_dst" => ("proto-dst", SERVICE, false, 2),
        "packets" | "bytes" | "avgpkt" => (name, INTEGER, true, 8),
        "zone" => ("zone", INTEGER, true, 2),
        "label" => ("label", 30, true, 16),
        other => (other, INTEGER, true, 4),
    };
    let dir = dir.map_or(String::new(), |dir| format!("{dir} "));
    Term::new(format!("ct {dir}{own}"), ty, host, len)
}

fn extension(proto: &str, kind: u32, offset: u32, len: u32, present: bool) -> Option<Term> {
    if present {
        let mut term = Term::new(fields::presence(proto, kind)?, BOOLEAN, false, 1);
        term.presence = true;
        return Some(term);
    }
    let (text, ty) = fields::extension(proto, kind, offset, len)?;
    Some(Term::new(text, ty, false, len as usize))
}

fn route(name: &str) -> Term {
    let (own, ty, host, len) = match name {
        "nexthop4" => ("ip nexthop", IPV4, false, 4),
        "nexthop6" => ("ip6 nexthop", IPV6, false, 16),
        "tcpmss" => ("mtu", INTEGER, true, 2),
        "ipsec" => ("ipsec", INTEGER, true, 1),
        other => (other, INTEGER, true, 4),
    };
    let mut term = Term::new(format!("rt {own}"), ty, host, len);
    term.presence = name == "ipsec";
    term
}

fn fib(result: u32, flags: u32) -> Term {
    let present = flags & 32 != 0;
    let (ty, len) = match result {
        _ if present => (BOOLEAN, 1),
        2 => (IFNAME, 16),
        3 => (FIB_TYPE, 4),
        _ => (IFINDEX, 4),
    };
    let text = super::super::names::fib(result, flags & !32);
    let text = match (present, text.rsplit_once(' ')) {
        (true, Some((from, _))) => format!("fib {from} check"),
        _ => format!("fib {text}"),
    };
    let mut term = Term::new(text, ty, !present, len);
    term.presence = present;
    term
}

fn socket(key: u8, level: u8) -> Option<Term> {
    Some(match key {
        0 => Term::new("socket transparent", INTEGER, false, 1),
        1 => Term::new("socket mark", MARK, true, 4),
        2 => Term::new("socket wildcard", INTEGER, false, 1),
        3 => Term::new(format!("socket cgroupv2 level {level}"), INTEGER, true, 8),
        _ => return None,
    })
}
