//! Targets that translate addresses (include/uapi/linux/netfilter/nf_nat.h).

use std::net::IpAddr;

use super::Around;
use super::info::Info;
use super::info::prefix;
use crate::subsys::net::rules::xt::Extension;

/// What to translate to.
struct Range {
    flags: u32,
    min: IpAddr,
    max: IpAddr,
    ports: (u16, u16),
    base: u16,
}

/// NF_NAT_RANGE_*.
const MAP_IPS: u32 = 1;
const PORTS: u32 = 2;
const RANDOM: u32 = 4;
const PERSISTENT: u32 = 8;
const FULLY_RANDOM: u32 = 16;
const OFFSET: u32 = 32;

/// The name that it is given by, and its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<(String, String)> {
    let info = Info(&one.info.0);
    let name = one.name.as_str();
    if !matches!(name, "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP") {
        return None;
    }
    let old = one.revision == 0 && around.family != 10;
    let range = if old {
        compat(info)?
    } else {
        range(around, info, one.revision)?
    };
    let mut text = match name {
        "SNAT" => format!(" --to-source {}", to(&range)),
        "DNAT" => format!(" --to-destination {}", to(&range)),
        "NETMAP" => format!(" --to {}", net(&range)?),
        _ if range.flags & PORTS != 0 => format!(" --to-ports {}", ports(&range)),
        _ => String::new(),
    };
    for (bit, word) in [
        (RANDOM, "random"),
        (FULLY_RANDOM, "random-fully"),
        (PERSISTENT, "persistent"),
    ] {
        if range.flags & bit != 0 {
            text.push_str(&format!(" --{word}"));
        }
    }
    Some((name.to_owned(), text))
}

/// `struct nf_nat_ipv4_multi_range_compat`, of which there is one range.
fn compat(info: Info<'_>) -> Option<Range> {
    Some(Range {
        flags: info.u32(4)?,
        min: info.address(2, 8)?,
        max: info.address(2, 12)?,
        ports: (info.be16(16)?, info.be16(18)?),
        base: 0,
    })
}

/// `struct nf_nat_range` and `nf_nat_range2`.
fn range(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<Range> {
    Some(Range {
        flags: info.u32(0)?,
        min: info.address(around.family, 4)?,
        max: info.address(around.family, 20)?,
        ports: (info.be16(36)?, info.be16(38)?),
        base: if revision > 1 { info.be16(40)? } else { 0 },
    })
}

fn to(range: &Range) -> String {
    let mut text = String::new();
    let bracket = range.flags & PORTS != 0 && range.min.is_ipv6();
    if range.flags & MAP_IPS != 0 {
        text = range.min.to_string();
        if range.max != range.min {
            text.push_str(&format!("-{}", range.max));
        }
        if bracket {
            text = format!("[{text}]");
        }
    }
    if range.flags & PORTS != 0 {
        text.push_str(&format!(":{}", ports(range)));
        if range.flags & OFFSET != 0 {
            text.push_str(&format!("/{}", range.base));
        }
    }
    text
}

fn ports(range: &Range) -> String {
    let (min, max) = range.ports;
    if min == max {
        min.to_string()
    } else {
        format!("{min}-{max}")
    }
}

/// What differs between both ends is the host's part.
fn net(range: &Range) -> Option<String> {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (min, max) = (octets(range.min), octets(range.max));
    let mask: Vec<u8> = min.iter().zip(&max).map(|(a, b)| !(a ^ b)).collect();
    Some(format!("{}/{}", range.min, prefix(&mask)?))
}
