//! The match `set` and the target `SET`, which ask and change ipsets.

use super::Around;
use super::info::Info;
use super::options::{Options, only};

/// `struct xt_set_info`: which set, and which sides of the packet it is asked with.
fn set(around: Around<'_>, info: Info<'_>, at: usize) -> Option<String> {
    let index = info.u16(at)?;
    let name = around.sets.get(&index);
    let name = name.cloned().unwrap_or_else(|| format!("?{index}"));
    let (dim, flags) = (info.u8(at + 2)?, info.u8(at + 3)?);
    let sides: Vec<&str> = (1..=dim.min(6))
        .map(|side| if flags >> side & 1 == 1 { "src" } else { "dst" })
        .collect();
    Some(format!("{name} {}", sides.join(",")))
}

/// `struct xt_set_info_match_v1` to 4; the later ones can compare an element's counters.
pub(super) fn matched(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<String> {
    let first = info.u8(3)?;
    let mut options = Options::default();
    options.value("match-set", first & 1 != 0, set(around, info, 0)?);
    let flags = match revision {
        1 => 0,
        // IPSET_RETURN_NOMATCH, at the same place.
        2 => u32::from(first) & 0x80,
        _ => info.u32(40)?,
    };
    // 0x20 (IPSET_FLAG_MATCH_COUNTERS) goes with any comparison.
    only(flags, 0xb8)?;
    if flags & 0x80 != 0 {
        options.flag("return-nomatch", false);
    }
    if flags & 8 != 0 {
        options.flag("update-counters", true);
    }
    if flags & 0x10 != 0 {
        options.flag("update-subcounters", true);
    }
    if revision > 2 {
        // Revision 3 has the operation before the value, 4 after it.
        let (op, value) = if revision == 3 { (0, 8) } else { (8, 0) };
        for (name, at) in [("packets", 8), ("bytes", 24)] {
            counter(&mut options, name, info.u8(at + op)?, info.u64(at + value)?)?;
        }
    }
    Some(options.text())
}

/// IPSET_COUNTER_*.
fn counter(options: &mut Options, name: &str, op: u8, value: u64) -> Option<()> {
    match op {
        0 => {}
        1 => options.value(&format!("{name}-eq"), false, value),
        2 => options.value(&format!("{name}-eq"), true, value),
        3 => options.value(&format!("{name}-lt"), false, value),
        4 => options.value(&format!("{name}-gt"), false, value),
        _ => return None,
    }
    Some(())
}

/// `struct xt_set_info_target_v1` to v3: sets to add to, to take out of, to take marks from.
pub(super) fn changed(around: Around<'_>, info: Info<'_>, revision: u8) -> Option<String> {
    let kinds: &[(&str, usize)] = match revision {
        3 => &[("add-set", 0), ("del-set", 4), ("map-set", 8)],
        _ => &[("add-set", 0), ("del-set", 4)],
    };
    let (flags, timeout) = match revision {
        1 => (0, u32::MAX),
        2 => (info.u32(8)?, info.u32(12)?),
        _ => (info.u32(12)?, info.u32(16)?),
    };
    let mut options = Options::default();
    for (name, at) in kinds {
        // IPSET_INVALID_ID.
        if info.u16(*at)? == u16::MAX {
            continue;
        }
        options.value(name, false, set(around, info, *at)?);
        if *name == "add-set" {
            // IPSET_FLAG_EXIST.
            options.flags(flags, &[(1, "exist")]);
            if timeout != u32::MAX {
                options.value("timeout", false, timeout);
            }
        }
        if *name == "map-set" {
            let parts = [
                (0x100, "map-mark"),
                (0x200, "map-prio"),
                (0x400, "map-queue"),
            ];
            options.flags(flags, &parts);
        }
    }
    Some(options.text())
}
