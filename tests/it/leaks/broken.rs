//! What is overwritten and not missing: no verdict rests on a search that meets what is broken.

use std::collections::BTreeSet;

use super::real::leaks;
use crate::hold::thinned::kdump::Whole;
use crate::support::small_dump;

/// Pages of the small dump which, all zeros, made others look lost, and what then shows that
/// something is broken: the heads of the lists of per-CPU chunks, which lead to areas of vmalloc;
/// page structures, among them those of CPUs' current slabs; page structures again, of which only
/// a count of slabs tells.
const ZEROED: [(u64, &str); 3] = [
    (0x982, "a list of per-CPU chunks can't be read"),
    (0xbd24, "current slabs of CPUs can't be found"),
    (
        0x9303,
        "request_sock_TCP: 2 slabs found, but the kernel counted 3",
    ),
];

#[test]
fn of_what_is_broken_no_leak_is_made() {
    let dump = small_dump();
    let whole = Whole::read(&dump.vmcore);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vmcore");
    for (page, shown) in ZEROED {
        assert!(whole.pages.contains(&page), "{page:#x}");
        whole.write_with_zeros(&BTreeSet::from([page]), &path);
        let (code, document) = leaks(&path, Some(&dump.vmlinux), &[]);
        assert_eq!((code, &document["complete"]), (4, &false.into()));
        let trust = &document["trust"];
        assert_eq!(trust["reliable"], false, "{page:#x}");
        let reasons = trust["reasons"].as_array().expect("reasons");
        let named = |reason: &serde_json::Value| {
            let message = reason["message"].as_str().expect("a message");
            reason["code"] == "structures-broken" && message.contains(shown)
        };
        assert!(reasons.iter().any(named), "{page:#x}: {reasons:?}");
        let findings = document["findings"].as_array().expect("findings");
        assert!(
            findings.iter().all(|one| one["level"] != "leak"),
            "{page:#x}: {findings:?}"
        );
        for cache in document["caches"].as_array().expect("caches") {
            assert!(
                cache["unreachable"]["objects"].is_null(),
                "{page:#x}: {}",
                cache["name"]
            );
            assert_ne!(
                cache["verdict"]["level"], "leak",
                "{page:#x}: {}",
                cache["name"]
            );
        }
    }
}
