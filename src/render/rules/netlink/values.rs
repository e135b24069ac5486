//! Values and registers in expressions.

use std::fmt::Write as _;

use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::expr::{NatRegs, Reg};

/// The same with `0x` before each.
pub(super) fn value(data: &Hex) -> String {
    let words: Vec<String> = data
        .0
        .chunks(4)
        .map(|word| format!("0x{}", Hex(word.to_vec()).digits()))
        .collect();
    words.join(" ")
}

pub(super) fn reg(reg: Reg) -> u8 {
    reg.number()
}

/// `addr_min reg 1 addr_max reg 1…` of those that are given.
pub(super) fn regs(regs: &NatRegs) -> String {
    let all = [
        ("addr_min", regs.addr_min),
        ("addr_max", regs.addr_max),
        ("proto_min", regs.proto_min),
        ("proto_max", regs.proto_max),
    ];
    let mut text = String::new();
    for (name, given) in all {
        if let Some(given) = given {
            // A String takes whatever is written.
            let _ = write!(text, " {name} reg {}", reg(given));
        }
    }
    text
}

pub(super) fn with_flags(mut text: String, flags: u32) -> String {
    if flags != 0 {
        let _ = write!(text, " flags {flags:#x}");
    }
    text
}
