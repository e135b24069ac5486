use super::*;

fn state(time: i64, dentry: u64) -> State {
    let counts = Counts {
        objects: dentry / 192,
        bytes: dentry,
        ..Counts::default()
    };
    State {
        identity: StateIdentity {
            time: Some(time),
            ..StateIdentity::default()
        },
        caches: Some(vec![("dentry".to_owned(), counts)]),
        ..State::default()
    }
}

#[test]
fn states_are_put_in_order_and_have_a_rate() {
    let series = series(vec![state(7200, 3000), state(0, 1000), state(3600, 2000)]);
    let [row] = series.caches.as_slice() else {
        panic!("{:?}", series.caches);
    };
    assert_eq!(row.bytes, [Some(1000), Some(2000), Some(3000)]);
    assert_eq!(
        (row.change_bytes, row.bytes_per_hour),
        (Some(2000), Some(1000.0))
    );
}

#[test]
fn between_two_boots_or_kernels_nothing_has_a_rate() {
    let mut states = vec![state(0, 1000), state(3600, 2000)];
    for (state, boot) in states.iter_mut().zip([0, 3000]) {
        state.identity.boot_time = Some(boot);
    }
    let of_two = series(states);
    assert_eq!(of_two.same_boot, Some(false));
    assert_eq!(of_two.caches[0].bytes_per_hour, None);
    assert_eq!(of_two.caches[0].change_bytes, Some(1000));
}

#[test]
fn findings_of_one_fingerprint_are_one_and_the_worst_come_first() {
    let found = |level: &str, bytes| FoundThen {
        subject: "dentry".to_owned(),
        level: level.to_owned(),
        bytes,
    };
    let (mut old, mut new) = (State::default(), State::default());
    old.add_finding("b".to_owned(), found("suspect", 70));
    new.add_finding("a".to_owned(), found("leak", 10));
    new.add_finding("b".to_owned(), found("suspect", 5));
    new.add_finding("b".to_owned(), found("leak", 6));
    let told = besides(&[old, new], &[None, None]).findings;
    let [first, second] = told.as_slice() else {
        panic!("{told:?}");
    };
    let level = |name: &str| Some(name.to_owned());
    assert_eq!(first.levels, [level("suspect"), level("leak")]);
    assert_eq!(first.bytes, [Some(70), Some(11)]);
    assert_eq!(
        (&*second.fingerprint, &*second.levels),
        ("a", &[None, level("leak")][..])
    );
}

#[test]
fn only_what_differs_among_those_who_tell_is_shown() {
    let with = |modules: &[&str]| State {
        modules: Some(modules.iter().map(|name| (*name).to_owned()).collect()),
        ..State::default()
    };
    let told = series(vec![with(&["a", "b"]), State::default(), with(&["a"])]);
    let names: Vec<&str> = told
        .besides
        .modules
        .iter()
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(names, ["b"]);
    let loaded = Some("loaded".to_owned());
    assert_eq!(told.besides.modules[0].values, [loaded, None, None]);
}

#[test]
fn a_line_that_a_ledger_lacks_is_nothing_and_what_one_alone_tells_is_no_change() {
    let told = |lines: &[(&str, u64)]| {
        let lines = lines
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), *bytes));
        Some(lines.collect::<BTreeMap<_, _>>())
    };
    let old = State {
        ledger: told(&[("free", 100)]),
        meminfo: told(&[("MemFree", 7)]),
        ..State::default()
    };
    let new = State {
        ledger: told(&[("free", 60), ("hugetlb", 40)]),
        ..State::default()
    };
    let found = besides(&[old, new], &[None, None]);
    let rows = found.ledger.iter();
    let rows: Vec<_> = rows.map(|row| (&*row.name, row.change_bytes)).collect();
    assert_eq!(rows, [("hugetlb", Some(40)), ("free", Some(-40))]);
    assert_eq!(found.ledger[0].bytes, [Some(0), Some(40)]);
    assert_eq!(found.meminfo[0].bytes, [Some(7), None]);
    assert_eq!(found.meminfo[0].change_bytes, None);
}
