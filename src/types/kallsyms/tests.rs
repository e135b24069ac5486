//! Tables made by hand, in every encoding.

use super::*;

const STEXT: u64 = 0xffff_ffff_8100_0000;

/// Names of `T_stext` and others, each character a token of its own.
fn tables(lengths: Lengths, long: usize) -> KallsymsTables {
    let mut names = Vec::new();
    let mut first = Vec::new();
    let all = [
        "T_stext".into(),
        "dpercpu".into(),
        format!("t{}", "x".repeat(long)),
    ];
    let filler = (0..300).map(|n| format!("tf{n}"));
    let all: Vec<String> = all.into_iter().chain(filler).collect();
    for name in &all {
        first.push(names.len());
        match (lengths, name.len()) {
            (Lengths::TwoBytes, len @ 128..) => {
                names.extend([(len & 0x7f | 0x80) as u8, (len >> 7) as u8]);
            }
            (_, len) => names.push(len as u8),
        }
        names.extend(name.bytes());
    }
    names.resize(names.len().next_multiple_of(4), 0);
    names.extend(0u32.to_le_bytes());
    names.extend((first[256] as u32).to_le_bytes());
    let token_table: Vec<u8> = (0..=255u8).flat_map(|c| [c.max(1), 0]).collect();
    let token_index = (0..256u16).flat_map(|n| (n * 2).to_le_bytes()).collect();
    KallsymsTables {
        count: all.len(),
        names,
        token_table,
        token_index,
        offsets_at: STEXT + 0x1000,
        relative_base: Some(STEXT - 0x100),
        stext: STEXT,
        ..Default::default()
    }
}

fn with_offsets(mut tables: KallsymsTables, offset: impl Fn(u64) -> i64) -> KallsymsTables {
    let all = 0..tables.count as u64;
    tables.offsets = all.flat_map(|n| (offset(n) as i32).to_le_bytes()).collect();
    tables
}

#[test]
fn every_encoding_of_addresses() {
    let plain = || tables(Lengths::OneByte, 20);
    let base_relative = with_offsets(plain(), |n| 0x100 + n as i64 * 16);
    let percpu = with_offsets(plain(), |n| match n {
        1 => 0x40,
        n => -1 - 0x100 - n as i64 * 16,
    });
    let place = with_offsets(plain(), |n| n as i64 * 12 - 0x1000);
    let mut absolute = plain();
    let all = 0..absolute.count as u64;
    absolute.addresses = all.flat_map(|n| (STEXT + n * 16).to_le_bytes()).collect();
    for (tables, name, percpu) in [
        (base_relative, "base-relative", STEXT + 16),
        (percpu, "absolute-percpu", 0x40),
        (place, "place-relative", STEXT + 16),
        (absolute, "absolute", STEXT + 16),
    ] {
        let found = Kallsyms::decode(tables).unwrap();
        assert!(found.encoding.starts_with(name), "{}", found.encoding);
        let symbols = found.symbols().unwrap();
        assert_eq!(symbols.address("_stext"), Some(STEXT));
        assert_eq!(symbols.address("percpu"), Some(percpu));
        assert_eq!(symbols.address("f7"), Some(STEXT + 160));
    }
}

#[test]
fn long_names_by_either_rule() {
    for (lengths, name) in [
        (Lengths::TwoBytes, "two bytes where needed"),
        (Lengths::OneByte, "always one byte"),
    ] {
        let tables = with_offsets(tables(lengths, 199), |n| 0x100 + n as i64 * 16);
        let found = Kallsyms::decode(tables).unwrap();
        assert!(found.encoding.ends_with(name), "{}", found.encoding);
        let symbols = found.symbols().unwrap();
        let long = "x".repeat(199);
        assert_eq!(symbols.address(&long), Some(STEXT + 32));
    }
}

#[test]
fn damage_is_an_error() {
    let good = with_offsets(tables(Lengths::OneByte, 20), |n| 0x100 + n as i64 * 16);
    let error = |change: &dyn Fn(&mut KallsymsTables)| {
        let mut tables = with_offsets(tables(Lengths::OneByte, 20), |n| 0x100 + n as i64 * 16);
        change(&mut tables);
        Kallsyms::decode(tables).unwrap_err()
    };
    assert!(Kallsyms::decode(good).is_ok());
    assert_eq!(error(&|t| t.stext += 1), KallsymsError::UnknownEncoding);
    assert_eq!(error(&|t| t.count = usize::MAX), KallsymsError::BadNames);
    assert_eq!(error(&|t| t.names.truncate(99)), KallsymsError::BadNames);
    assert_eq!(
        error(&|t| t.token_index.truncate(9)),
        KallsymsError::BadTokens
    );
    assert_eq!(
        error(&|t| t.token_table.truncate(9)),
        KallsymsError::BadTokens
    );
    assert_eq!(error(&|t| t.count = 0), KallsymsError::NoStext);
}

#[test]
fn the_first_of_several_names_at_a_place() {
    // _stext and _percpu are at one place; what comes last in the table may lie before them.
    let last = tables(Lengths::OneByte, 20).count as i64 - 1;
    let sorted = |n: u64| 0x100 + n.saturating_sub(1) as i64 * 16;
    for first in [None, Some(0x80)] {
        let tables = with_offsets(tables(Lengths::OneByte, 20), |n| match first {
            Some(offset) if n as i64 == last => offset,
            _ => sorted(n),
        });
        let found = Kallsyms::decode(tables).unwrap();
        let find = |at| found.find(at).map(|n| (n.name, n.offset, n.size));
        assert_eq!(find(STEXT), Some(("_stext".into(), 0, 16)));
        assert_eq!(find(STEXT + 15), Some(("_stext".into(), 15, 16)));
        let before = first.map(|_| ("f299".into(), 0, 0x80));
        assert_eq!(find(STEXT - 0x80), before);
        assert_eq!(find(STEXT + last as u64 * 16), None);
    }
}
