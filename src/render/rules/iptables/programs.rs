//! Matches that are small programs: `u32` and `bpf`.

use super::info::Info;

/// XT_U32_MAXSIZE and one more, of tests and of the parts of each.
const PARTS: usize = 11;

/// How long a test is: places, ranges, and how many there are of both.
const TEST: usize = PARTS * 8 + PARTS * 8 + 4;

/// `struct xt_u32`: tests of where to look (with steps from one place to the next) and ranges.
pub(super) fn u32_text(info: Info<'_>) -> Option<String> {
    let count = usize::from(info.u8(PARTS * TEST)?);
    let inverted = info.u8(PARTS * TEST + 1)? != 0;
    if count > PARTS {
        return None;
    }
    let tests: Option<Vec<String>> = (0..count).map(|index| test(info, index * TEST)).collect();
    let not = super::info::not(inverted);
    Some(format!("{not} --u32 \"{}\"", tests?.join("&&")))
}

fn test(info: Info<'_>, at: usize) -> Option<String> {
    let (ranges_at, counts_at) = (at + PARTS * 8, at + PARTS * 16);
    let counts = (info.u8(counts_at)?, info.u8(counts_at + 1)?);
    let (places, ranges) = (usize::from(counts.0), usize::from(counts.1));
    if places > PARTS || ranges > PARTS {
        return None;
    }
    let mut text = String::new();
    for place in 0..places {
        let at = at + place * 8;
        // How one gets there from the one before.
        let step = match (place, info.u8(at + 4)?) {
            (0, _) => "",
            (_, 0) => "&",
            (_, 1) => "<<",
            (_, 2) => ">>",
            (_, 3) => "@",
            _ => return None,
        };
        text.push_str(&format!("{step}{:#x}", info.u32(at)?));
    }
    let range = |range: usize| {
        let at = ranges_at + range * 8;
        let (min, max) = (info.u32(at)?, info.u32(at + 4)?);
        Some(match min == max {
            true => format!("{min:#x}"),
            false => format!("{min:#x}:{max:#x}"),
        })
    };
    let ranges: Option<Vec<String>> = (0..ranges).map(range).collect();
    Some(format!("{text}={}", ranges?.join(",")))
}

/// At most 64 instructions of classic BPF, or what is pinned at a path.
pub(super) fn bpf(info: Info<'_>, revision: u8) -> Option<String> {
    // Revision 1: a mode (0 bytecode, 1 pinned, 2 an open file) and a length before it.
    let (count, at) = match revision {
        0 => (info.u16(0)?, 4),
        _ => match info.u16(0)? {
            0 => (info.u16(2)?, 8),
            1 => return Some(format!(" --object-pinned {}", info.text(8, 512)?)),
            _ => return None,
        },
    };
    if count > 64 {
        return None;
    }
    let mut text = count.to_string();
    for index in 0..usize::from(count) {
        let at = at + index * 8;
        let (code, yes, no, k) = (
            info.u16(at)?,
            info.u8(at + 2)?,
            info.u8(at + 3)?,
            info.u32(at + 4)?,
        );
        text.push_str(&format!(",{code} {yes} {no} {k}"));
    }
    Some(format!(" --bytecode \"{text}\""))
}
