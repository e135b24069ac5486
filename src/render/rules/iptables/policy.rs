//! `policy`: how IPsec has or will have treated a packet (include/uapi/linux/netfilter/xt_policy.h).

use super::Around;
use super::info::Info;
use super::options::{Options, network, only};

/// How long an element is: four addresses and masks, then numbers.
const ELEMENT: usize = 76;

/// `struct xt_policy_info`.
pub(super) fn text(around: Around<'_>, info: Info<'_>) -> Option<String> {
    let (flags, count) = (u32::from(info.u16(304)?), usize::from(info.u16(306)?));
    only(flags, 0xf)?;
    if count > 4 {
        return None;
    }
    let mut options = Options::default();
    options.value("dir", false, if flags & 1 != 0 { "in" } else { "out" });
    options.value("pol", false, if flags & 4 != 0 { "none" } else { "ipsec" });
    options.flags(flags, &[(8, "strict")]);
    for index in 0..count {
        if index > 0 {
            options.flag("next", false);
        }
        element(around, info, index * ELEMENT, &mut options)?;
    }
    Some(options.text())
}

/// `struct xt_policy_elem`.
fn element(around: Around<'_>, info: Info<'_>, at: usize, options: &mut Options) -> Option<()> {
    let (asked, inverted) = (u32::from(info.u8(at + 74)?), u32::from(info.u8(at + 75)?));
    only(asked | inverted, 0x3f)?;
    let is = |bit: u32| asked & bit != 0;
    let not = |bit: u32| inverted & bit != 0;
    if is(0x20) {
        options.value("reqid", not(0x20), info.u32(at + 68)?);
    }
    if is(0x10) {
        // As it stands in memory, though it is in the network's order.
        options.value("spi", not(0x10), format!("{:#x}", info.u32(at + 64)?));
    }
    if is(4) {
        // iptables takes no other, and asks for their names, which systems have.
        let protocol = match info.u8(at + 72)? {
            50 => "esp",
            51 => "ah",
            108 => "ipcomp",
            _ => return None,
        };
        options.value("proto", not(4), protocol);
    }
    if is(8) {
        let mode = ["transport", "tunnel"];
        let mode = mode.get(usize::from(info.u8(at + 73)?))?;
        options.value("mode", not(8), mode);
    }
    for (bit, name, place) in [(2, "tunnel-dst", 32), (1, "tunnel-src", 0)] {
        if is(bit) {
            let net = network(info, around.family, at + place, at + place + 16)?;
            options.value(name, not(bit), net);
        }
    }
    Some(())
}
