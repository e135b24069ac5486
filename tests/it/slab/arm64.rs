//! aarch64 machines: every size of pages, every number of address bits, layouts old and new. What
//! they were laid out from is found in each.

use std::path::Path;

use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::machine::arm64::Arm64;
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, flattened, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::synthetic::assert_truth;
use crate::support::{slabs_json, without_form};

const ERAS: [Era; 5] = [Era::V4_18, Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

/// The dump as kdump's file, flattened and as an ELF core of kdump and of QEMU.
fn forms(machine: &Machine) -> [Vec<u8>; 4] {
    let zlib = kdump::kdump(machine, kdump::Options::new(Codec::Zlib));
    let plain = elf::Options::default();
    let qemu = elf::Options { qemu: true, ..plain };
    let [plain, qemu] = [plain, qemu].map(|options| elf::elf(machine, options));
    [flattened::flatten(&zlib), zlib, plain, qemu]
}

#[test]
fn every_machine_and_form_is_one_report() {
    for (era, arm64) in ERAS.into_iter().flat_map(|era| {
        let machines = Arm64::machines().into_iter();
        machines.filter(move |arm64| arm64.is_of(era)).map(move |arm64| (era, arm64))
    }) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let [dump, types] = ["dump", "vmlinux"].map(|name| folder.path().join(name));
        let machine = Machine::build(era, PagingLevels::Arm64(arm64), &Scenario::standard());
        std::fs::write(&types, vmlinux(&machine, VmlinuxOptions::new(5))).expect("a file writes");
        let mut reports = Vec::new();
        for (number, bytes) in forms(&machine).into_iter().enumerate() {
            let what = format!("{} {arm64:?}, form {number}", era.name());
            std::fs::write(&dump, bytes).expect("a file writes");
            let files: [&Path; 2] = [&dump, &types];
            let (code, document) = slabs_json(&files, &[]);
            assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
            assert_eq!(document["dump"]["arch"], "aarch64", "{what}");
            assert_truth(&document, machine.truth(), &what);
            reports.push(without_form(document));
            assert!(reports.last() == reports.first(), "{what}: another report");
        }
    }
}
