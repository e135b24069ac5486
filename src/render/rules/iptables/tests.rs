use super::*;
use crate::subsys::net::rules::Hex;

/// Data that guests' kernels had, against what iptables printed of it there.
const GUEST: &str = include_str!("tests/guest.txt");

/// What those had not.
const MADE: &str = include_str!("tests/made.txt");

/// A match or target of a file, and its line.
struct Case {
    family: u8,
    is_target: bool,
    one: Extension,
    line: &'static str,
}

fn cases() -> impl Iterator<Item = Case> {
    let lines = GUEST.lines().chain(MADE.lines());
    lines.filter(|line| !line.starts_with(':')).map(case)
}

fn case(line: &'static str) -> Case {
    let (head, line) = line.split_once(" |").expect("a line");
    let head: Vec<&str> = head.split(' ').collect();
    let (name, revision) = head[1].split_once('.').expect("a revision");
    Case {
        family: head[0].parse().expect("a family"),
        is_target: line.starts_with(" -j"),
        one: Extension {
            name: name.to_owned(),
            revision: revision.parse().expect("a revision"),
            info: Hex(bytes(head[2])),
        },
        line,
    }
}

/// Two digits each, `(N)` zeros, `[N]` ones; `-` none.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.trim_start_matches('-');
    while let Some(first) = rest.chars().next() {
        let (run, of) = match first {
            '(' => (Some(')'), 0),
            '[' => (Some(']'), 0xff),
            _ => (None, 0),
        };
        let Some(end) = run else {
            let (digits, after) = rest.split_at(2);
            bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = after;
            continue;
        };
        let (count, after) = rest[1..].split_once(end).expect("an end");
        let count: usize = count.parse().expect("a number");
        bytes.resize(bytes.len() + count, of);
        rest = after;
    }
    bytes
}

fn text(family: u8, is_target: bool, one: &Extension) -> String {
    let names = ["hip", "hnp", "hip6"].map(str::to_owned);
    let sets: SetNames = (0..).zip(names).collect();
    let around = Around {
        family,
        sets: &sets,
    };
    match is_target {
        true => target_text(around, one),
        false => match_text(around, one),
    }
}

#[test]
fn extensions_are_printed_as_iptables_prints_them() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases() {
        count += 1;
        let ours = text(case.family, case.is_target, &case.one);
        if ours != case.line {
            wrong.push(format!("{}\n{ours}", case.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count > 250, "{count} cases");
}

/// Every beginning of every data: it is known still, or shown as bytes.
#[test]
fn data_that_ends_too_early_is_shown_as_bytes() {
    // There is one mode for these, and nothing to tell.
    let silent = ["eui64", "TRACE", "CHECKSUM", "socket"];
    for case in cases() {
        for len in 0..case.one.info.0.len() {
            let mut short = case.one.clone();
            short.info.0.truncate(len);
            let ours = text(case.family, case.is_target, &short);
            let raw = format!(" {}.{} 0x", short.name, short.revision);
            if len == 0 && !silent.contains(&short.name.as_str()) {
                assert!(ours.contains(&raw), "{ours}");
            }
        }
    }
}

/// A bit or number that nobody knows: name, where it is, what it is there.
#[test]
fn what_is_not_known_is_not_guessed() {
    let unknown = [
        ("hashlimit", 272, 0x80),
        ("set", 40, 1),
        ("set", 16, 9),
        ("u32", 1980, 12),
        ("ecn", 0, 2),
        ("osf", 36, 16),
        ("esp", 8, 2),
        ("ah", 8, 2),
        ("ipcomp", 8, 2),
        ("dccp", 8, 16),
        ("sctp", 284, 8),
        ("sctp", 264, 3),
        ("sctp", 8 + 2, 1),
        ("frag", 12, 0x40),
        ("rt", 16, 0x40),
        ("rt", 276, 17),
        ("dst", 4, 8),
        ("hbh", 38, 17),
        ("mh", 2, 2),
        ("srh", 105, 0x40),
        ("policy", 304, 16),
        ("policy", 306, 5),
        ("devgroup", 0, 16),
        ("cluster", 12, 2),
        ("connlabel", 2, 4),
        ("ipvs", 39, 0x80),
        ("connbytes", 16, 3),
        ("connbytes", 17, 3),
        ("quota", 0, 2),
        ("rateest", 32, 0x40),
        ("rateest", 34, 4),
        ("HMARK", 41, 0x80),
        ("CONNMARK", 14, 3),
        ("CONNSECMARK", 0, 3),
        ("SECMARK", 0, 2),
        ("ECN", 0, 2),
        ("SYNPROXY", 0, 0x20),
        ("AUDIT", 0, 3),
        ("IDLETIMER", 33, 2),
        ("CLUSTERIP", 0, 2),
        ("CLUSTERIP", 48, 3),
        ("RATEEST", 16, 9),
        ("LED", 0, b'x'),
        ("mangle", 40, 16),
        ("mangle", 44, 7),
    ];
    for (name, at, value) in unknown {
        let mut found = cases().filter(|case| case.one.name == name);
        let mut case = found.next().expect(name);
        case.one.info.0[at] = value;
        let ours = text(case.family, case.is_target, &case.one);
        let raw = format!(" {name}.{} 0x", case.one.revision);
        assert!(ours.contains(&raw), "{name} at {at}: {ours}");
        case.one.revision = 9;
        let ours = text(case.family, case.is_target, &case.one);
        assert!(ours.contains(&format!(" {name}.9 0x")), "{ours}");
    }
}

/// Behind what was given the kernel keeps pointers of its own.
#[test]
fn pointers_of_the_kernel_are_not_shown() {
    let kept = [
        ("hashlimit", 272, 0x80, 298),
        ("quota", 0, 2, 16),
        ("rateest", 34, 9, 52),
        ("IDLETIMER", 33, 2, 34),
    ];
    for (name, at, value, len) in kept {
        let mut found = cases().filter(|case| case.one.name == name);
        let mut case = found.next().expect(name);
        case.one.info.0[at] = value;
        assert!(case.one.info.0.len() > len);
        let ours = text(case.family, case.is_target, &case.one);
        let (_, digits) = ours.split_once(" 0x").expect("bytes");
        assert_eq!(digits.len(), len * 2, "{name}");
    }
}
