//! The tables of kallsyms found by their own structure, for kernels before 6.0 whose
//! VMCOREINFO does not name them, and for those that have none.
//!
//! In the table of tokens the digits stand for themselves, one after the other; the
//! index behind it says where each token begins, which no other data does by chance.
//! The tables before follow from there (scripts/kallsyms.c up to 6.3):
//!
//! `offsets | relative_base | num_syms | names | markers | token_table | token_index`,
//! each at the next multiple of 8. Since 6.4 (commit 404bad70fcf7) the first two come last, and
//! 7.2 has no base and multiples of 4. Markers and the number of symbols had 8 bytes up to 4.19 (commit
//! 80ffbaa5b1bd). Nothing is taken that the next step does not confirm.

use rayon::prelude::*;

use crate::addr::VirtAddr;
use crate::bytes::{slice, u32_at, uint_at};
use crate::space::AddressSpace;

/// Code and read-only data; they begin at `_stext`.
const MAX_IMAGE: u64 = 128 << 20;
/// Of a size that memory is used again for.
const CHUNK: usize = 64 << 10;
/// Bytes of the index of tokens.
const INDEX: u64 = 512;
const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// Names are at most 127 bytes long where lengths have one byte.
const MAX_NAMES_OF_MARKER: u64 = 256 * 128;
const MAX_MARKERS: usize = 1 << 14;
/// Bytes of a marker.
const MARKERS: [usize; 2] = [4, 8];
const MAX_NAMES: u64 = 64 << 20;
/// Tries in one chunk: memory that repeats the pattern is none of a kernel's.
const MAX_TRIES: usize = 64;

/// Where the tables are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) names: VirtAddr,
    pub(super) num_syms: VirtAddr,
    pub(super) token_table: VirtAddr,
    pub(super) token_index: VirtAddr,
    /// Of 32 bits each.
    pub(super) offsets: Option<VirtAddr>,
    /// Of 64 bits each, up to 4.5.
    pub(super) addresses: Option<VirtAddr>,
    pub(super) relative_base: Option<VirtAddr>,
}

/// Looks through the kernel's image from `_stext` on; at last through what is code, which most of
/// it is and the tables are not.
pub(super) fn find(space: &AddressSpace, stext: VirtAddr) -> Option<Places> {
    let chunks = (0..MAX_IMAGE).step_by(CHUNK);
    let chunks = chunks.map(|offset| stext.plus(offset));
    let (code, data): (Vec<VirtAddr>, Vec<_>) = chunks.partition(|at| space.is_executable(*at));
    [data, code].iter().find_map(|chunks| {
        let chunks = chunks.par_iter().with_max_len(1);
        chunks.find_map_first(|start| tables_in(space, *start, stext))
    })
}

/// The tables whose digits lie in the chunk from `start` on.
fn tables_in(space: &AddressSpace, start: VirtAddr, stext: VirtAddr) -> Option<Places> {
    let mut buffer = vec![0; CHUNK + DIGITS.len()];
    // The kernel gives back its init sections.
    space.read_there(start, &mut buffer);
    memchr::memmem::find_iter(&buffer, DIGITS)
        .take(MAX_TRIES)
        .find_map(|at| {
            let digits = start.plus(at as u64);
            let mut aligned = [8, 4].into_iter();
            aligned.find_map(|align| tables_around(space, digits, align, stext))
        })
}

/// The tables around the tokens of the digits at `digits`, where each begins at a multiple of
/// `align`.
fn tables_around(
    space: &AddressSpace,
    digits: VirtAddr,
    align: u64,
    stext: VirtAddr,
) -> Option<Places> {
    // Tokens b'0' to 255 follow, and then the index.
    let after = space.read_bytes(digits, 8 << 10).ok()?;
    let mut starts = Vec::with_capacity(256);
    let mut at = 0;
    for _ in usize::from(b'0')..256 {
        starts.push(at as u64);
        at += memchr::memchr(0, after.get(at..)?)? + 1;
    }
    let token_index = VirtAddr(digits.plus(at as u64).0.next_multiple_of(align));
    let index = space.read_bytes(token_index, INDEX as usize).ok()?;
    let entry = |n: usize| {
        let pair = slice(&index, n * 2, 2)?;
        Some(u64::from(u16::from_le_bytes(pair.try_into().ok()?)))
    };
    let before = entry(usize::from(b'0'))?;
    let mut expected = starts.iter().enumerate();
    let fits = expected.all(|(n, start)| entry(usize::from(b'0') + n) == Some(before + start));
    if !fits || entry(0)? != 0 {
        return None;
    }
    let token_table = digits.minus(before);
    let names = MARKERS.into_iter().find_map(|width| {
        let (markers, last, count) = markers_before(space, token_table, width)?;
        names_before(space, markers, last, count, align)
    })?;
    let num_syms = names.minus(align);
    let symbols = u64::from(space.read_u32(num_syms).ok()?);
    if let Some(addresses) = addresses_before(space, num_syms, symbols, stext) {
        return Some(Places {
            names,
            num_syms,
            token_table,
            token_index,
            relative_base: None,
            offsets: None,
            addresses: Some(addresses),
        });
    }
    let len = (symbols * 4).next_multiple_of(8);
    // The base is where the image begins.
    let is_base = |at: &VirtAddr| {
        let base = space.read_ptr(*at).ok();
        base.is_some_and(|base| base.0.abs_diff(stext.0) < MAX_IMAGE)
    };
    let before = Some(names.minus(16)).filter(is_base);
    let behind = token_index.plus(INDEX);
    Some(Places {
        names,
        num_syms,
        token_table,
        token_index,
        relative_base: before.or(Some(behind.plus(len)).filter(is_base)),
        offsets: Some(before.map_or(behind, |base| base.minus(len))),
        addresses: None,
    })
}

/// Where `count` addresses begin that end at `end`: they ascend, and `stext` is one of them.
fn addresses_before(
    space: &AddressSpace,
    end: VirtAddr,
    count: u64,
    stext: VirtAddr,
) -> Option<VirtAddr> {
    let len = count.checked_mul(8).filter(|len| *len <= MAX_NAMES)?;
    let start = end.minus(len);
    let bytes = space.read_bytes(start, len as usize).ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    let address = |word: &[u8; 8]| u64::from_le_bytes(*word);
    let sorted = words.is_sorted_by_key(address);
    let below = words.partition_point(|word| address(word) < stext.0);
    let found = words.get(below).map(address) == Some(stext.0);
    // Most symbols lie behind it; a base behind offsets, which are sorted too, is the last word.
    let many = (words.len() - below) * 4 >= words.len();
    (sorted && found && many).then_some(start)
}

/// The markers of `width` bytes grow from 0 to their table's end: where they begin, the last, how
/// many.
fn markers_before(
    space: &AddressSpace,
    end: VirtAddr,
    width: usize,
) -> Option<(VirtAddr, u64, u64)> {
    let len = MAX_MARKERS * width;
    let bytes = space.read_bytes(end.minus(len as u64), len).ok()?;
    let word = |back: usize| uint_at(&bytes, len.checked_sub(back * width)?, width);
    // An odd number of words leaves one of padding.
    let first = if word(1)? == 0 { 2 } else { 1 };
    let last = word(first)?;
    let mut above = last;
    for back in first + 1..MAX_MARKERS {
        let value = word(back)?;
        if value == 0 {
            let count = (back - first + 1) as u64;
            return Some((end.minus((back * width) as u64), last, count));
        }
        if value >= above {
            return None;
        }
        above = value;
    }
    None
}

/// The names end where the markers begin, and their number stands before them.
fn names_before(
    space: &AddressSpace,
    markers: VirtAddr,
    last: u64,
    count: u64,
    align: u64,
) -> Option<VirtAddr> {
    if last > MAX_NAMES {
        return None;
    }
    let top = markers.minus(last);
    let base = VirtAddr(top.0.saturating_sub(MAX_NAMES_OF_MARKER) & !(align - 1));
    let len = usize::try_from(markers.offset_from(base)?).ok()?;
    let bytes = space.read_bytes(base, len).ok()?;
    let room = usize::try_from(top.offset_from(base)?).ok()?;
    let step = align as usize;
    let mut candidates = (step..=room).step_by(step);
    let found = candidates.find(|at| {
        let number = u32_at(&bytes, at - step).map_or(0, u64::from);
        let padding = step == 4 || u32_at(&bytes, at - 4) == Some(0);
        let in_range = number > (count - 1) * 256 && number <= count * 256;
        in_range && padding && names_fill(&bytes, *at, number)
    })?;
    Some(base.plus(found as u64))
}

/// Whether `number` names from `at` end within the last 8 bytes.
fn names_fill(bytes: &[u8], mut at: usize, number: u64) -> bool {
    for _ in 0..number {
        match (bytes.get(at), bytes.get(at + 1)) {
            // Longer names have a second byte of length since 6.1 (commit 73bbb94466fd).
            (Some(low @ 0x80..), Some(high)) => {
                at += (usize::from(low & 0x7f) | usize::from(*high) << 7) + 2;
            }
            (Some(len), _) if *len > 0 => at += usize::from(*len) + 1,
            _ => return false,
        }
    }
    bytes.len().checked_sub(at).is_some_and(|rest| rest < 8)
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

    use super::*;
    use crate::kernel::synthetic;

    /// scripts/kallsyms.c up to 6.3, `width` bytes in `num_syms` and in a marker: where the digits
    /// are, and where names begin.
    fn lay(m: &mut Machine, width: usize, stext: u64) -> (VirtAddr, VirtAddr) {
        const NAMES: u64 = 700;
        let mut names = Vec::new();
        let mut markers = Vec::new();
        for symbol in 0..NAMES {
            if symbol % 256 == 0 {
                markers.extend_from_slice(&(names.len() as u64).to_le_bytes()[..width]);
            }
            let name = format!("Tname{symbol}");
            names.push(name.len() as u8);
            names.extend_from_slice(name.as_bytes());
        }
        let (mut tokens, mut index) = (Vec::new(), Vec::new());
        for token in 0..=255u8 {
            index.extend_from_slice(&(tokens.len() as u16).to_le_bytes());
            tokens.extend(Some(token).filter(u8::is_ascii_graphic));
            tokens.push(0);
        }
        let digits = usize::from(u16::from_le_bytes([index[96], index[97]]));
        let number = NAMES.to_le_bytes()[..width].to_vec();
        let offsets = vec![1; NAMES as usize * 4];
        let base = stext.to_le_bytes().to_vec();
        let mut all = Vec::new();
        let mut places = Vec::new();
        for table in [&offsets, &base, &number, &names, &markers, &tokens, &index] {
            all.resize(all.len().next_multiple_of(8), 0);
            places.push(all.len() as u64);
            all.extend_from_slice(table);
        }
        // What is before the first marker and behind the index is read, too.
        let room = 1 << 18;
        let at = m.kernel.alloc(2 * room + all.len() as u64, 4096) + room;
        m.kernel.write(at, &all);
        let place = |table: usize| VirtAddr(at + places[table]);
        (place(5).plus(digits as u64), place(3))
    }

    #[test]
    fn numbers_have_four_bytes_or_up_to_4_19_eight() {
        for width in MARKERS {
            let mut m = Machine::build(Era::V4_18, PagingLevels::Four, &Scenario::standard());
            let stext = 0xffff_ffff_8100_0000;
            let (digits, names) = lay(&mut m, width, stext);
            let kernel = synthetic::kernel(&m);
            let found = tables_around(&kernel.space, digits, 8, VirtAddr(stext));
            let found = found.unwrap_or_else(|| panic!("{width}"));
            assert_eq!(found.names, names, "{width}");
            assert_eq!(found.relative_base, Some(names.minus(16)), "{width}");
            assert_eq!(found.offsets, Some(names.minus(16 + 2800)), "{width}");
        }
    }

    /// scripts/kallsyms.c up to 4.5: as many addresses as names before their number, those of CPUs'
    /// variables near 0.
    #[test]
    fn addresses_up_to_4_5_stand_as_they_are() {
        let mut m = Machine::build(Era::V3_10El7, PagingLevels::Four, &Scenario::standard());
        let stext = 0xffff_ffff_8100_0000;
        let (digits, names) = lay(&mut m, 8, stext);
        let start = names.minus(8 + 700 * 8);
        for symbol in 0..700u64 {
            let address = match symbol {
                0..100 => symbol * 64,
                _ => stext + (symbol - 100) * 32,
            };
            m.kernel.write_u64(start.0 + symbol * 8, address);
        }
        let kernel = synthetic::kernel(&m);
        let find = |stext| tables_around(&kernel.space, digits, 8, VirtAddr(stext));
        let found = find(stext).expect("the tables");
        assert_eq!((found.names, found.addresses), (names, Some(start)));
        assert_eq!((found.offsets, found.relative_base), (None, None));
        // No such address is among them.
        assert_eq!(find(stext + 1).and_then(|found| found.addresses), None);
    }

    #[test]
    fn names_end_where_the_markers_begin() {
        // Two names, and zeros up to the next multiple of 8.
        let names = b"\x03Tab\x05Dcdef\0\0\0\0\0\0";
        assert!(names_fill(names, 0, 2));
        assert!(!names_fill(names, 0, 1), "the second is no padding");
        assert!(!names_fill(names, 0, 3), "no name is empty");
        assert!(!names_fill(names, 4, 2), "the second is the last");
        assert!(!names_fill(&names[..8], 0, 2), "the second is cut short");
        let long = [&names[..], &[0; 8]].concat();
        assert!(!names_fill(&long, 0, 2), "more than padding follows");
    }
}
