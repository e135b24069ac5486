//! Targets and watchers of bridges (include/uapi/linux/netfilter_bridge/ebt_*.h).

use super::super::iptables::info::Info;
use super::address::mac;

/// Its name with its words; `None` of what is not known here.
pub(super) fn text(name: &str, info: Info<'_>) -> Option<String> {
    let words = match name {
        "arpreply" => {
            let address = mac(info.0.get(..6)?);
            match info.u32(8)? {
                DROP => format!("--arpreply-mac {address}"),
                then => format!(
                    "--arpreply-mac {address} --arpreply-target {}",
                    verdict(then)?
                ),
            }
        }
        "dnat" => format!(
            "--to-dst {} --dnat-target {}",
            mac(info.0.get(..6)?),
            verdict(info.u32(8)?)?
        ),
        "snat" => {
            // Set where addresses in ARP stay as they are.
            let arp = if info.u32(8)? & 0x10 == 0 {
                " --snat-arp"
            } else {
                ""
            };
            let then = verdict(info.u32(8)? | !VERDICT)?;
            let address = mac(info.0.get(..6)?);
            format!("--to-src {address}{arp} --snat-target {then}")
        }
        "redirect" => match info.u32(0)? {
            ACCEPT => String::new(),
            // With a space of its own before it.
            then => format!(" --redirect-target {}", verdict(then)?),
        },
        "mark" => mark(info)?,
        _ => return None,
    };
    Some(format!("{name} {words}"))
}

/// EBT_ACCEPT, EBT_DROP.
const ACCEPT: u32 = u32::MAX;
const DROP: u32 = u32::MAX - 1;
/// EBT_VERDICT_BITS: where a target holds a verdict beside something else.
const VERDICT: u32 = 0xf;

fn verdict(code: u32) -> Option<&'static str> {
    let names = ["ACCEPT", "DROP", "CONTINUE", "RETURN"];
    names.get((ACCEPT - code) as usize).copied()
}

/// `struct ebt_mark_t_info`: a value, then what is done with it and where to go on.
fn mark(info: Info<'_>) -> Option<String> {
    let both = info.u32(8)?;
    let action = match both & !VERDICT {
        0xffff_fff0 => "set",
        0xffff_ffe0 => "or",
        0xffff_ffd0 => "and",
        0xffff_ffc0 => "xor",
        _ => return None,
    };
    let then = verdict(both | !VERDICT)?;
    Some(format!(
        "--mark-{action} {:#x} --mark-target {then}",
        info.u64(0)?
    ))
}

const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "error", "warning", "notice", "info", "debug",
];

/// The words of a watcher, with a space behind them; `None` of what is not known here.
pub(super) fn watcher(name: &str, info: Info<'_>) -> Option<String> {
    match name {
        "log" => log(info),
        "nflog" => nflog(info),
        _ => None,
    }
}

/// `struct ebt_log_info`.
fn log(info: Info<'_>) -> Option<String> {
    let level = LEVELS.get(usize::from(info.u8(0)?))?;
    let asked = info.u32(32)?;
    let mut text = format!("--log-level {level} --log-prefix \"{}\"", info.text(1, 30)?);
    for (bit, name) in [(1, "ip"), (2, "arp"), (8, "ip6")] {
        if asked & bit != 0 {
            text.push_str(&format!(" --log-{name}"));
        }
    }
    text.push(' ');
    Some(text)
}

/// `struct ebt_nflog_info`: with spaces where ebtables has them, but for one that it forgets before
/// what follows.
fn nflog(info: Info<'_>) -> Option<String> {
    let mut text = String::new();
    let prefix = info.text(12, 64)?;
    if !prefix.is_empty() {
        text.push_str(&format!("--nflog-prefix \"{prefix}\""));
    }
    let group = info.u16(4)?;
    if group != 0 {
        text.push_str(&format!("--nflog-group {group} "));
    }
    let range = info.u32(0)?;
    if range != 0 {
        text.push_str(&format!("--nflog-range {range}"));
    }
    let threshold = info.u16(6)?;
    if threshold != 1 {
        text.push_str(&format!(" --nflog-threshold {threshold} "));
    } else if range != 0 {
        text.push(' ');
    }
    Some(text)
}
