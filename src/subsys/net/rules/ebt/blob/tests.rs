//! On bytes made by hand: two chains of hooks, which lie in the wrong order, and one of a user.

use super::*;

const STANDARD: u64 = 0x10;
const LIMIT: u64 = 0x20;
const LOG: u64 = 0x30;

fn names(at: VirtAddr, is_match: bool) -> Option<(String, u8)> {
    let name = match (at.0, is_match) {
        (STANDARD, false) => "standard",
        (LIMIT, true) => "limit",
        (LOG, false) => "log",
        _ => return None,
    };
    Some((name.to_owned(), 0))
}

fn put(bytes: &mut Vec<u8>, at: usize, value: &[u8]) {
    if bytes.len() < at + value.len() {
        bytes.resize(at + value.len(), 0);
    }
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn head(name: &str, policy: i32, rules: u32) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    put(&mut bytes, HEAD_NAME, name.as_bytes());
    put(&mut bytes, HEAD_POLICY, &policy.to_le_bytes());
    put(&mut bytes, HEAD_RULES, &rules.to_le_bytes());
    bytes
}

fn extension(pointer: u64, info: &[u8]) -> Vec<u8> {
    let mut bytes = pointer.to_le_bytes().to_vec();
    put(
        &mut bytes,
        EXTENSION_SIZE,
        &(info.len() as u32).to_le_bytes(),
    );
    bytes.resize(EXTENSION, 0);
    bytes.extend(info);
    bytes
}

fn rule(matches: &[u8], watchers: &[u8], verdict: i32) -> Vec<u8> {
    let mut info = verdict.to_le_bytes().to_vec();
    info.resize(8, 0);
    let target = extension(STANDARD, &info);
    let mut bytes = vec![0; ENTRY];
    put(&mut bytes, 0, &3u32.to_le_bytes());
    let mut end = ENTRY as u32;
    for (at, len) in [
        (ENTRY_WATCHERS, matches.len()),
        (ENTRY_TARGET, watchers.len()),
        (ENTRY_NEXT, target.len()),
    ] {
        end += len as u32;
        put(&mut bytes, at, &end.to_le_bytes());
    }
    bytes.extend([matches, watchers, &target].concat());
    bytes
}

/// FORWARD, INPUT and `own`; a rule of the first leads to the last.
fn table() -> (Vec<u8>, BTreeMap<usize, u32>) {
    let plain = rule(&[], &[], -3);
    let both = rule(&extension(LIMIT, &[1; 32]), &extension(LOG, &[2; 40]), -2);
    let input = HEAD + plain.len() + both.len();
    let own = input + HEAD;
    // As long as the plain rule.
    let jump = rule(&[], &[], own as i32);
    let bytes = [
        head("FORWARD", -1, 2),
        jump,
        both,
        head("", -2, 0),
        head("own", -4, 1),
        plain,
    ]
    .concat();
    (bytes, BTreeMap::from([(0, 2), (input, 1)]))
}

fn read(bytes: &[u8], begins: &BTreeMap<usize, u32>) -> (Vec<XChain>, bool) {
    let counters = [Some((5, 50)), None, Some((7, 70))];
    let blob = Blob {
        bytes,
        begins,
        counters: &counters,
        names: &names,
    };
    blob.chains()
}

#[test]
fn chains_are_by_hook_and_jumps_have_names() {
    let (bytes, begins) = table();
    let (chains, complete) = read(&bytes, &begins);
    assert!(complete);
    let names: Vec<&str> = chains.iter().map(|chain| chain.name.as_str()).collect();
    // The second has the name of its hook, as it has none itself.
    assert_eq!(names, ["INPUT", "FORWARD", "own"]);
    let policies: Vec<_> = chains.iter().map(|chain| chain.policy.clone()).collect();
    assert_eq!(
        policies,
        [XVerdict::Drop, XVerdict::Accept, XVerdict::Return].map(Some)
    );
    let [jump, both] = chains[1].rules.as_slice() else {
        panic!("two rules: {chains:?}");
    };
    assert_eq!(
        jump.target,
        XTarget::Verdict(XVerdict::Jump("own".to_owned()))
    );
    assert_eq!((jump.packets, jump.bytes), (Some(5), Some(50)));
    assert_eq!((both.packets, both.bytes), (None, None));
    assert_eq!(both.target, XTarget::Verdict(XVerdict::Drop));
    assert_eq!(both.matches[0].name, "limit");
    assert_eq!(both.matches[0].info.0, [1; 32]);
    assert_eq!(both.watchers[0].name, "log");
    assert_eq!(both.watchers[0].info.0, [2; 40]);
    let own = &chains[2].rules[0];
    assert_eq!(own.target, XTarget::Verdict(XVerdict::Continue));
    assert_eq!(own.packets, Some(7));
}

#[test]
fn what_is_cut_or_damaged_is_not_complete() {
    let (bytes, begins) = table();
    for end in (0..bytes.len()).step_by(4).skip(1) {
        assert!(!read(&bytes[..end], &begins).1, "{end}");
    }
    // A length that leads out of the table, a target before its matches, a number of rules.
    for (at, value) in [
        (HEAD + ENTRY_NEXT, 1 << 20),
        (HEAD + ENTRY_TARGET, 8),
        (HEAD_RULES, 3),
    ] {
        let mut bytes = bytes.clone();
        put(&mut bytes, at, &u32::to_le_bytes(value));
        assert!(!read(&bytes, &begins).1, "{at}");
    }
}
