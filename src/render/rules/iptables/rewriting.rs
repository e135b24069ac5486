//! Targets that write into headers (include/uapi/linux/netfilter/xt_*.h, netfilter_ipv4/ipt_*.h,
//! netfilter_ipv6/ip6t_*.h).

use super::Around;
use super::info::Info;
use super::options::{Options, only};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    Some(match (one.name.as_str(), one.revision) {
        ("CHECKSUM", 0) => " --checksum-fill".to_owned(),
        ("CLASSIFY", 0) => {
            let class = info.u32(0)?;
            format!(" --set-class {:04x}:{:04x}", class >> 16, class & 0xffff)
        }
        ("DSCP", 0) => format!(" --set-dscp {:#04x}", info.u8(0)?),
        ("TOS", 0) if around.family == 2 => format!(" --set-tos {:#04x}", info.u8(0)?),
        ("TOS", 1) => format!(" --set-tos {:#04x}/{:#04x}", info.u8(0)?, info.u8(1)?),
        ("TTL", 0) => hops("ttl", info)?,
        ("HL", 0) => hops("hl", info)?,
        ("ECN", 0) => congestion(info)?,
        ("TCPMSS", 0) => match info.u16(0)? {
            0xffff => " --clamp-mss-to-pmtu".to_owned(),
            mss => format!(" --set-mss {mss}"),
        },
        ("TCPOPTSTRIP", 0) => stripped(info)?,
        ("SYNPROXY", 0) => syn_proxy(info)?,
        ("DNPT" | "SNPT", 0) => prefixes(info)?,
        _ => return None,
    })
}

fn hops(name: &str, info: Info<'_>) -> Option<String> {
    let way = ["set", "inc", "dec"].get(usize::from(info.u8(0)?))?;
    Some(format!(" --{name}-{way} {}", info.u8(1)?))
}

/// `struct ipt_ECN_info`.
fn congestion(info: Info<'_>) -> Option<String> {
    let (what, tcp) = (info.u8(0)?, info.u8(2)?);
    only(u32::from(what), 0x31)?;
    let mut options = Options::default();
    if what == 0x30 && tcp & 3 == 0 {
        options.flag("ecn-tcp-remove", false);
        return Some(options.text());
    }
    if what & 0x10 != 0 {
        options.value("ecn-tcp-ece", false, tcp & 1);
    }
    if what & 0x20 != 0 {
        options.value("ecn-tcp-cwr", false, tcp >> 1 & 1);
    }
    if what & 1 != 0 {
        options.value("ecn-ip-ect", false, info.u8(1)?);
    }
    Some(options.text())
}

/// `struct xt_tcpoptstrip_target_info`, of which none is none.
fn stripped(info: Info<'_>) -> Option<String> {
    let map = info.0.get(..32)?;
    let is_set = |kind: &usize| {
        map.get(kind / 8)
            .is_some_and(|byte| byte >> (kind % 8) & 1 == 1)
    };
    let kinds: Vec<String> = (0..256)
        .filter(is_set)
        .map(|kind| kind.to_string())
        .collect();
    if kinds.is_empty() {
        return Some(String::new());
    }
    Some(format!(" --strip-options {}", kinds.join(",")))
}

/// `struct xt_synproxy_info`.
fn syn_proxy(info: Info<'_>) -> Option<String> {
    let flags = u32::from(info.u8(0)?);
    only(flags, 0x1f)?;
    let mut options = Options::default();
    options.flags(flags, &[(4, "sack-perm"), (8, "timestamp")]);
    if flags & 2 != 0 {
        options.value("wscale", false, info.u8(1)?);
    }
    if flags & 1 != 0 {
        options.value("mss", false, info.u16(2)?);
    }
    options.flags(flags, &[(0x10, "ecn")]);
    Some(options.text())
}

/// `struct ip6t_npt_tginfo`.
fn prefixes(info: Info<'_>) -> Option<String> {
    let mut options = Options::default();
    for (name, at, len) in [("src-pfx", 0, 32), ("dst-pfx", 16, 33)] {
        let (address, len) = (info.address(10, at)?, info.u8(len)?);
        if !address.is_unspecified() || len != 0 {
            options.value(name, false, format!("{address}/{len}"));
        }
    }
    Some(options.text())
}
