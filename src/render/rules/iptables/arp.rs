//! Targets as arptables saves them (include/uapi/linux/netfilter_arp/arpt_mangle.h): those that
//! iptables has too are written otherwise.

use super::info::Info;
use super::options::{Options, only};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("mangle", 0) => mangle(info),
        ("MARK", 2) => {
            let (mark, mask) = (info.u32(0)?, info.u32(4)?);
            Some(match mark {
                0 => format!(" --and-mark {:x}", !mask),
                mark if mark == mask => format!(" --or-mark {mark:x}"),
                mark => format!(" --set-mark {mark:x}"),
            })
        }
        ("CLASSIFY", 0) => {
            let class = info.u32(0)?;
            Some(format!(
                " --set-class {:x}:{:x}",
                class >> 16,
                class & 0xffff
            ))
        }
        _ => None,
    }
}

/// `struct arpt_mangle`.
fn mangle(info: Info<'_>) -> Option<String> {
    let what = u32::from(info.u8(40)?);
    only(what, 0xf)?;
    let mut options = Options::default();
    let sides = [(4, 1, "s", 32, 0), (8, 2, "d", 36, 16)];
    for (address_bit, device_bit, side, address, device) in sides {
        if what & address_bit != 0 {
            options.value(&format!("mangle-ip-{side}"), false, info.ipv4(address)?);
        }
        if what & device_bit != 0 {
            let mac = info.0.get(device..device + 6)?;
            let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            options.value(&format!("mangle-mac-{side}"), false, mac.join(":"));
        }
    }
    // NF_DROP, NF_ACCEPT, XT_CONTINUE.
    match info.u32(44)? {
        0 => options.value("mangle-target", false, "DROP"),
        1 => {}
        u32::MAX => options.value("mangle-target", false, "CONTINUE"),
        _ => return None,
    }
    Some(options.text())
}
