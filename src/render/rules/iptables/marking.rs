//! Targets that mark a packet or its connection (include/uapi/linux/netfilter/xt_*MARK.h).

use super::Around;
use super::info::{Info, prefix};
use super::options::{Options, only};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("MARK", 2) => Some(format!(
            " --set-xmark {:#x}/{:#x}",
            info.u32(0)?,
            info.u32(4)?
        )),
        ("CONNMARK", 1 | 2) => connection(info, one.revision),
        ("HMARK", 0) => hash(around, info),
        ("CONNSECMARK", 0) => match info.u8(0)? {
            1 => Some(" --save".to_owned()),
            2 => Some(" --restore".to_owned()),
            _ => None,
        },
        ("SECMARK", 0 | 1) => {
            // SECMARK_MODE_SEL, the only one; the number of the label is where the kernel needs it.
            if info.u8(0)? != 1 {
                return None;
            }
            let at = if one.revision == 0 { 8 } else { 1 };
            Some(format!(" --selctx {}", info.text(at, 256)?))
        }
        _ => None,
    }
}

/// `struct xt_connmark_tginfo1`, and 2, which can shift.
fn connection(info: Info<'_>, revision: u8) -> Option<String> {
    let (mark, ct, nf) = (info.u32(0)?, info.u32(4)?, info.u32(8)?);
    let mode = info.u8(if revision == 1 { 12 } else { 14 })?;
    let mut text = match mode {
        0 => format!(" --set-xmark {mark:#x}/{ct:#x}"),
        1 => format!(" --save-mark --nfmask {nf:#x} --ctmask {ct:#x}"),
        2 => format!(" --restore-mark --nfmask {nf:#x} --ctmask {ct:#x}"),
        _ => return None,
    };
    if revision == 2 && info.u8(13)? != 0 {
        let way = match info.u8(12)? {
            0 => "left",
            1 => "right",
            _ => return None,
        };
        text.push_str(&format!(" --{way}-shift-mark {}", info.u8(13)?));
    }
    Some(text)
}

/// `struct xt_hmark_info`: a mark by a hash of what is left under the masks.
fn hash(around: Around<'_>, info: Info<'_>) -> Option<String> {
    let flags = info.u32(40)?;
    // The two highest say what follows from the others, and have no options.
    only(flags, 0x7fff)?;
    let len = if around.family == 10 { 16 } else { 4 };
    let mut options = Options::default();
    for (bit, name, at) in [(1, "src-prefix", 0), (2, "dst-prefix", 16)] {
        if flags & bit != 0 {
            let mask = prefix(info.0.get(at..at + len)?)?;
            options.value(&format!("hmark-{name}"), false, mask);
        }
    }
    let ports = |at: usize| Some(format!("{:#06x}", info.be16(at)?));
    let index = |at: usize| Some(format!("{:#010x}", info.u32(at)?.swap_bytes()));
    let all = [
        (0x40, "sport-mask", ports(32)?),
        (0x80, "dport-mask", ports(34)?),
        (8, "spi-mask", index(32)?),
        (0x10, "sport", ports(36)?),
        (0x20, "dport", ports(38)?),
        (4, "spi", index(36)?),
        (0x100, "proto-mask", format!("{:#04x}", info.u16(44)?)),
        (0x200, "rnd", format!("{:#010x}", info.u32(48)?)),
        (0x400, "mod", info.u32(52)?.to_string()),
        (0x800, "offset", info.u32(56)?.to_string()),
        (0x1000, "tuple", "ct".to_owned()),
    ];
    for (_, name, value) in all.iter().filter(|(bit, ..)| flags & bit != 0) {
        options.value(&format!("hmark-{name}"), false, value);
    }
    Some(options.text())
}
