//! `allocinfo` against the file that the guest printed; what kernels need for it and for kmemleak.

use crate::support::{
    RealDump, files, json, number, printed, real_dumps, run, small_dump, small_dumps, small_variant,
};

/// Each line of the capture, in its order, but for sites that allocated or freed until the crash.
#[test]
fn allocinfo_prints_what_the_kernel_printed() {
    for dump in small_dumps(&["small-6.12-debug", "small-7.2-debug"]) {
        assert_sites(&dump);
    }
}

fn assert_sites(dump: &RealDump) {
    const MOVED: usize = 80;
    const MOST: u64 = 512 << 10;
    let printed = printed(dump, "allocinfo", &["--format", "proc"]);
    let captured = dump.captured("allocinfo");
    let (ours, theirs): (Vec<&str>, Vec<&str>) =
        (printed.lines().collect(), captured.lines().collect());
    assert_eq!(ours[..2], theirs[..2], "the header");
    assert_eq!(ours.len(), theirs.len());
    let place = |line: &str| {
        let numbers = line.trim_start().split_once(' ').expect("bytes");
        let (_, place) = numbers.1.trim_start().split_once(' ').expect("calls");
        place.to_owned()
    };
    let bytes = |line: &str| -> i64 {
        let bytes = line.split_whitespace().next().expect("bytes");
        bytes.parse().expect("a number")
    };
    let mut moved = 0;
    for (ours, theirs) in ours.iter().zip(&theirs).skip(2) {
        assert_eq!(place(ours), place(theirs));
        if ours != theirs {
            moved += 1;
            let by = bytes(ours).abs_diff(bytes(theirs));
            assert!(by <= MOST, "{theirs} became {ours}");
            // What the module lost moved no more.
            assert!(!ours.contains("[leaky]"), "{ours}");
        }
    }
    assert!(moved <= MOVED, "{moved} sites moved");
    assert_eq!(
        theirs
            .iter()
            .filter(|line| line.contains("[leaky]"))
            .count(),
        2
    );
}

#[test]
fn allocinfo_sums_up_its_sites() {
    let Some(dump) = small_variant("small-6.12-debug") else {
        return;
    };
    let document = json(&printed(&dump, "allocinfo", &["--format", "json"]));
    assert_eq!(document["enabled"], true);
    let sites = document["sites"].as_array().expect("sites");
    let bytes: Vec<i64> = sites
        .iter()
        .map(|site| site["bytes"].as_i64().expect("one"))
        .collect();
    assert!(bytes.is_sorted_by(|one, next| one >= next));
    assert_eq!(document["totals"]["bytes"], bytes.iter().sum::<i64>());
    let printed = printed(&dump, "allocinfo", &["--format", "proc"]);
    assert_eq!(
        number(&document["totals"]["sites"]),
        printed.lines().count() as u64 - 2
    );
}

#[test]
fn kernels_without_say_what_they_need() {
    let mut dumps = real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]);
    dumps.push(small_dump());
    for dump in dumps {
        for (command, option) in [
            ("kmemleak", "CONFIG_DEBUG_KMEMLEAK"),
            ("allocinfo", "CONFIG_MEM_ALLOC_PROFILING"),
        ] {
            let (code, stdout, stderr) = run(&[&[command], &files(&dump)[..]].concat());
            assert_eq!((code, stdout.as_str()), (3, ""), "{}: {command}", dump.name);
            assert!(stderr.contains(option), "{}: {stderr}", dump.name);
        }
    }
}
