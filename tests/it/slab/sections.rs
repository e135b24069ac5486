//! Damage to the table of memory sections, which says where the page structures are.

use serde_json::Value;
use vmleak_synth::damage;

use crate::slab::damage::{SUPPORTED, codes, machine, write};
use crate::support::run;

/// One page of the table that says where the page structures are. Of these machines not all lie in
/// one array, as they do in real ones: what is not found by it is lost.
#[test]
fn sections_of_memory_that_are_lost_are_a_loss() {
    for era in SUPPORTED {
        for base_is_lost in [false, true] {
            let mut m = machine(era);
            let roots = m.kernel.read_u64(m.kernel.symbol("mem_section"));
            let table = m.kernel.read_u64(roots);
            damage::exclude_address(&mut m, table);
            if base_is_lost {
                let base = m.kernel.symbol("vmemmap_base");
                m.kernel.write_u64(base, 0);
            }
            let files = write(&m);
            let paths = [&files.dump, &files.vmlinux].map(|path| path.to_str().expect("UTF-8"));
            for command in ["slabs", "leaks"] {
                let what = format!("{} {command}, base lost: {base_is_lost}", era.name());
                let (code, stdout, stderr) =
                    run(&[command, "--format", "json", paths[0], paths[1]]);
                if base_is_lost {
                    // Nothing says where any page structure is.
                    assert_eq!(code, 3, "{what}: {stderr}");
                    assert!(
                        stderr.contains("the table of memory sections"),
                        "{what}: {stderr}"
                    );
                    continue;
                }
                assert_eq!(code, 4, "{what}: {stderr}");
                let document: Value = serde_json::from_str(&stdout).expect("JSON");
                assert_eq!(document["complete"], false, "{what}");
                assert!(codes(&document).contains(&"memmap-section-lost"), "{what}");
                if command == "leaks" {
                    let reasons = document["trust"]["reasons"].as_array().expect("reasons");
                    let mut codes = reasons.iter().map(|reason| &reason["code"]);
                    assert!(
                        codes.any(|code| code == "page-structures-missing"),
                        "{reasons:?}"
                    );
                    let found = document["findings"].as_array().expect("findings");
                    assert!(found.iter().all(|one| one["level"] != "leak"), "{found:?}");
                }
            }
        }
    }
}
