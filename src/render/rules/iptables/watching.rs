//! Targets that tell somebody of a packet, send it elsewhere too, or answer for a cluster
//! (include/uapi/linux/netfilter/xt_*.h, netfilter_ipv4/ipt_CLUSTERIP.h).

use super::Around;
use super::counting;
use super::info::Info;
use super::options::Options;
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("AUDIT", 0) => {
            let kind = ["accept", "drop", "reject"];
            let kind = kind.get(usize::from(info.u8(0)?))?;
            Some(format!(" --type {kind}"))
        }
        ("IDLETIMER", 0 | 1) => idle(info, one.revision),
        ("LED", 0) => light(info),
        ("RATEEST", 0) => counting::estimator(info),
        ("TEE", 1) => {
            let mut options = Options::default();
            options.value("gateway", false, info.address(around.family, 0)?);
            let device = info.text(16, 16)?;
            if !device.is_empty() {
                options.value("oif", false, device);
            }
            Some(options.text())
        }
        ("CLUSTERIP", 0) => cluster(info),
        _ => None,
    }
}

/// `struct idletimer_tg_info`, and v1, which has flags behind it.
fn idle(info: Info<'_>, revision: u8) -> Option<String> {
    let mut options = Options::default();
    options.value("timeout", false, info.u32(0)?);
    options.value("label", false, info.text(4, 28)?);
    if revision == 1 {
        match info.u8(33)? {
            0 => {}
            1 => options.flag("alarm", false),
            _ => return None,
        }
        if info.u8(32)? != 0 {
            options.flag("send_nl_msg", false);
        }
    }
    Some(options.text())
}

/// `struct xt_led_info`: what iptables puts before the name is not the user's.
fn light(info: Info<'_>) -> Option<String> {
    let name = info.text(0, 27)?;
    let name = name.strip_prefix("netfilter-")?;
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    let mut options = Options::default();
    options.value("led-trigger-id", false, format!("\"{name}\""));
    // It is signed where it is printed: `inf` was given for the largest.
    let delay = info.u32(28)?.cast_signed();
    if delay != 0 {
        options.value("led-delay", false, delay);
    }
    if info.u8(27)? != 0 {
        options.flag("led-always-blink", false);
    }
    Some(options.text())
}

/// `struct ipt_clusterip_tgt_info`; only the first rule of a cluster says what it is.
fn cluster(info: Info<'_>) -> Option<String> {
    match info.u32(0)? {
        0 => return Some(String::new()),
        1 => {}
        _ => return None,
    }
    let mode = [
        "sourceip",
        "sourceip-sourceport",
        "sourceip-sourceport-destport",
    ];
    let mode = mode.get(info.u32(48)? as usize)?;
    let mac = info.0.get(4..10)?;
    let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02X}")).collect();
    let mut options = Options::default();
    options.flag("new", false);
    options.value("hashmode", false, mode);
    options.value("clustermac", false, mac.join(":"));
    options.value("total-nodes", false, info.u16(10)?);
    options.value("local-node", false, info.u16(14)?);
    options.value("hash-init", false, info.u32(52)?);
    Some(options.text())
}
