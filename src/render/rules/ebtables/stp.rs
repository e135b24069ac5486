//! What is asked of the spanning tree's own frames (`struct ebt_stp_info`).

use super::super::iptables::info::Info;
use super::address::masked_mac;
use super::{not, range};

/// Options by their bits.
const OPTIONS: [&str; 12] = [
    "type",
    "flags",
    "root-prio",
    "root-addr",
    "root-cost",
    "sender-prio",
    "sender-addr",
    "port",
    "msg-age",
    "max-age",
    "hello-time",
    "forward-delay",
];

/// Each with a space behind it; ranges have two.
pub(super) fn text(info: Info<'_>) -> Option<String> {
    // 4 bytes, then the structure with what the frames' configuration has.
    let (asked, inverted) = (info.u16(68)?, info.u16(70)?);
    let numbers = |at: usize| Some(format!("{} ", range(info.u16(at)?, info.u16(at + 2)?)));
    let mut text = String::new();
    for (number, name) in OPTIONS.iter().enumerate() {
        if asked >> number & 1 == 0 {
            continue;
        }
        let value = match number {
            0 => word(info.u8(0)?, [(0, "config"), (0x80, "tcn")]),
            1 => word(
                info.u8(4)?,
                [(1, "topology-change"), (0x80, "topology-change-ack")],
            ),
            2 => numbers(6)?,
            3 => masked_mac(info, 10, 16)?,
            4 => format!("{} ", range(info.u32(24)?, info.u32(28)?)),
            5 => numbers(32)?,
            6 => masked_mac(info, 36, 42)?,
            other => numbers(48 + (other - 7) * 4)?,
        };
        let not = not(inverted >> number & 1 != 0);
        text.push_str(&format!("--stp-{name} {not}{value} "));
    }
    Some(text)
}

fn word(value: u8, names: [(u8, &str); 2]) -> String {
    let known = names.iter().find(|(of, _)| *of == value);
    known.map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
}
