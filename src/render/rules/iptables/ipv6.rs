//! Matches on the headers that IPv6 has between its own and the payload
//! (include/uapi/linux/netfilter_ipv6/ip6t_*.h).

use super::Around;
use super::info::{Info, prefix};
use super::options::{Options, only};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    if around.family != 10 {
        return None;
    }
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("ah", 0) => authentication(info),
        ("frag", 0) => fragment(info),
        ("rt", 0) => routing(info),
        ("ipv6header", 0) => headers(info),
        ("dst", 0) => options_header(info, "dst"),
        ("hbh", 0) => options_header(info, "hbh"),
        ("eui64", 0) => Some(String::new()),
        ("mh", 0) => mobility(info),
        ("srh", 0 | 1) => segments(info, one.revision),
        _ => None,
    }
}

/// `struct ip6t_ah`.
fn authentication(info: Info<'_>) -> Option<String> {
    let inverted = u32::from(info.u8(13)?);
    only(inverted, 3)?;
    let mut options = Options::default();
    let ends = (info.u32(0)?, info.u32(4)?);
    options.range("ahspi", inverted & 1 != 0, ends, u32::MAX);
    let len = info.u32(8)?;
    if len != 0 || inverted & 2 != 0 {
        options.value("ahlen", inverted & 2 != 0, len);
    }
    options.flags(u32::from(info.u8(12)? != 0), &[(1, "ahres")]);
    Some(options.text())
}

/// `struct ip6t_frag`.
fn fragment(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (u32::from(info.u8(12)?), u32::from(info.u8(13)?));
    only(asked, 0x3f)?;
    only(inverted, 3)?;
    let mut options = Options::default();
    let ends = (info.u32(0)?, info.u32(4)?);
    options.range("fragid", inverted & 1 != 0, ends, u32::MAX);
    if asked & 2 != 0 {
        options.value("fraglen", inverted & 2 != 0, info.u32(8)?);
    }
    let names = [
        (4, "fragres"),
        (8, "fragfirst"),
        (0x10, "fragmore"),
        (0x20, "fraglast"),
    ];
    options.flags(asked, &names);
    Some(options.text())
}

/// `struct ip6t_rt`.
fn routing(info: Info<'_>) -> Option<String> {
    let (asked, inverted) = (u32::from(info.u8(16)?), u32::from(info.u8(17)?));
    only(asked, 0x3f)?;
    only(inverted, 7)?;
    let mut options = Options::default();
    if asked & 1 != 0 {
        options.value("rt-type", inverted & 1 != 0, info.u32(0)?);
    }
    let ends = (info.u32(4)?, info.u32(8)?);
    options.range("rt-segsleft", inverted & 2 != 0, ends, u32::MAX);
    if asked & 4 != 0 {
        options.value("rt-len", inverted & 4 != 0, info.u32(12)?);
    }
    options.flags(asked, &[(8, "rt-0-res")]);
    let count = usize::from(info.u8(276)?);
    // Addresses are asked for together with their number.
    if count > 16 || (count != 0) != (asked & 0x10 != 0) {
        return None;
    }
    let addresses: Option<Vec<String>> = (0..count)
        .map(|index| Some(info.address(10, 20 + index * 16)?.to_string()))
        .collect();
    if count != 0 {
        options.value("rt-0-addrs", false, addresses?.join(","));
    }
    options.flags(asked, &[(0x20, "rt-0-not-strict")]);
    Some(options.text())
}

/// `struct ip6t_ipv6header_info`. iptables asks for names of protocols, of which these are the ones
/// that systems have.
fn headers(info: Info<'_>) -> Option<String> {
    let names = [
        (0x80, "hop-by-hop"),
        (0x40, "ipv6-opts"),
        (0x20, "ipv6-route"),
        (0x10, "ipv6-frag"),
        (8, "ah"),
        (4, "esp"),
        (2, "ipv6-nonxt"),
        (1, "protocol"),
    ];
    let asked = info.u8(0)?;
    let named = names.iter().filter(|(bit, _)| asked & bit != 0);
    let named: Vec<&str> = named.map(|(_, name)| *name).collect();
    let mut options = Options::default();
    options.value("header", info.u8(1)? != 0, named.join(","));
    options.flags(u32::from(info.u8(2)? != 0), &[(1, "soft")]);
    Some(options.text())
}

/// `struct ip6t_opts`: kinds of options, with their length unless any will do.
fn options_header(info: Info<'_>, name: &str) -> Option<String> {
    let (asked, inverted) = (u32::from(info.u8(4)?), u32::from(info.u8(5)?));
    only(asked, 3)?;
    only(inverted, 1)?;
    let mut options = Options::default();
    if asked & 1 != 0 {
        options.value(&format!("{name}-len"), inverted & 1 != 0, info.u32(0)?);
    }
    let count = usize::from(info.u8(38)?);
    if count > 16 || (count != 0) != (asked & 2 != 0) {
        return None;
    }
    let kinds: Option<Vec<String>> = (0..count)
        .map(|index| {
            let of = info.u16(6 + index * 2)?;
            Some(match of & 0xff {
                0xff => (of >> 8).to_string(),
                len => format!("{}:{len}", of >> 8),
            })
        })
        .collect();
    if count != 0 {
        options.value(&format!("{name}-opts"), false, kinds?.join(","));
    }
    Some(options.text())
}

/// `struct ip6t_mh`.
fn mobility(info: Info<'_>) -> Option<String> {
    let inverted = u32::from(info.u8(2)?);
    only(inverted, 1)?;
    let mut options = Options::default();
    let ends = (u32::from(info.u8(0)?), u32::from(info.u8(1)?));
    options.range("mh-type", inverted & 1 != 0, ends, 0xff);
    Some(options.text())
}

/// `struct ip6t_srh`, `ip6t_srh1`, which also has segments.
fn segments(info: Info<'_>, revision: u8) -> Option<String> {
    let at = if revision == 0 { 6 } else { 104 };
    // Members of the first 8 bytes are aligned to two, those behind them to four.
    let (asked, inverted) = (u32::from(info.u16(at)?), u32::from(info.u16(at + 2)?));
    only(asked | inverted, if revision == 0 { 0x7ff } else { 0x3fff })?;
    let numbers = [
        ("next-hdr", info.u8(0)?),
        ("hdr-len-eq", info.u8(1)?),
        ("hdr-len-gt", info.u8(1)?),
        ("hdr-len-lt", info.u8(1)?),
        ("segs-left-eq", info.u8(2)?),
        ("segs-left-gt", info.u8(2)?),
        ("segs-left-lt", info.u8(2)?),
        ("last-entry-eq", info.u8(3)?),
        ("last-entry-gt", info.u8(3)?),
        ("last-entry-lt", info.u8(3)?),
    ];
    let mut options = Options::default();
    for (bit, (name, value)) in numbers.into_iter().enumerate() {
        if asked >> bit & 1 == 1 {
            options.value(&format!("srh-{name}"), inverted >> bit & 1 == 1, value);
        }
    }
    if asked & 0x400 != 0 {
        options.value("srh-tag", inverted & 0x400 != 0, info.u16(4)?);
    }
    for (bit, name, at) in [
        (0x800, "psid", 8),
        (0x1000, "nsid", 24),
        (0x2000, "lsid", 40),
    ] {
        if asked & bit != 0 {
            let mask = prefix(info.0.get(at + 48..at + 64)?)?;
            let segment = format!("{}/{mask}", info.address(10, at)?);
            options.value(&format!("srh-{name}"), inverted & bit != 0, segment);
        }
    }
    Some(options.text())
}
