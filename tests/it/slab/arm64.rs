//! aarch64 machines: every size of pages, every number of address bits, layouts old and new. What
//! they were laid out from is found in each.

use std::path::{Path, PathBuf};

use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::machine::arm64::Arm64;
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::{elf, flattened, kdump};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use super::synthetic::assert_truth_of;
use crate::leaks::synthetic as leaks;
use crate::opening::no_vmlinux::document;
use crate::support::{slabs_json, without_form};

const ERAS: [Era; 5] = [Era::V4_18, Era::V5_10, Era::V6_1, Era::V6_12, Era::V7_2];

/// All machines that a kernel of some era ran on.
fn machines(eras: &[Era]) -> impl Iterator<Item = (Era, Arm64)> + '_ {
    let of = |era: Era| Arm64::machines().into_iter().map(move |arm64| (era, arm64));
    let all = eras.iter().copied().flat_map(of);
    all.filter(|(era, arm64)| arm64.is_of(*era))
}

/// The dump as kdump's file, flattened and as an ELF core of kdump and of QEMU.
fn forms(machine: &Machine) -> [Vec<u8>; 4] {
    let zlib = kdump::kdump(machine, kdump::Options::new(Codec::Zlib));
    let plain = elf::Options::default();
    let qemu = elf::Options {
        qemu: true,
        ..plain
    };
    let [plain, qemu] = [plain, qemu].map(|options| elf::elf(machine, options));
    [flattened::flatten(&zlib), zlib, plain, qemu]
}

fn write(folder: &Path, machine: &Machine) -> [PathBuf; 2] {
    let [dump, types] = ["dump", "vmlinux"].map(|name| folder.join(name));
    std::fs::write(&types, vmlinux(machine, VmlinuxOptions::new(5))).expect("a file writes");
    [dump, types]
}

/// All machines of one era, and of the others those with 48 bits in one form: what is in a file,
/// and how it is translated, does not depend on them.
#[test]
fn every_machine_and_form_is_one_report() {
    let all = machines(&ERAS);
    for (era, arm64) in all.filter(|(era, arm64)| *era == Era::V6_12 || arm64.configured == 48) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let machine = Machine::build(era, PagingLevels::Arm64(arm64), &Scenario::standard());
        let [dump, types] = write(folder.path(), &machine);
        let mut reports = Vec::new();
        let page_size = machine.memory().page_size();
        let most = if era == Era::V6_12 { 4 } else { 1 };
        for (number, bytes) in forms(&machine).into_iter().enumerate().take(most) {
            let what = format!("{} {arm64:?}, form {number}", era.name());
            std::fs::write(&dump, bytes).expect("a file writes");
            let (code, document) = slabs_json(&[&dump, &types], &[]);
            assert_eq!(code, 0, "{what}: {:?}", document["warnings"]);
            assert_eq!(document["dump"]["arch"], "aarch64", "{what}");
            assert_truth_of(&document, machine.truth(), page_size, &what);
            reports.push(without_form(document));
            assert!(reports.last() == reports.first(), "{what}: another report");
        }
    }
}

#[test]
fn what_was_lost_is_found_on_every_machine_and_nothing_else() {
    for (era, arm64) in machines(&[Era::V4_18, Era::V6_12]) {
        let what = format!("{} {arm64:?}", era.name());
        let folder = tempfile::tempdir().expect("a temporary directory");
        let machine = Machine::build(era, PagingLevels::Arm64(arm64), &Scenario::leaks(era));
        let [dump, types] = write(folder.path(), &machine);
        let bytes = elf::elf(&machine, elf::Options::default());
        std::fs::write(&dump, bytes).expect("a file writes");
        let (found, _) = document("leaks", &[&dump, &types], &[]);
        let truth = machine.leaks_truth();
        leaks::assert_truth(&found, truth, machine.memory().page_size(), &what);
        leaks::assert_warnings(&found, &what);
        leaks::assert_addresses([&dump, &types], truth, &what);
        leaks::assert_areas([&dump, &types], truth, &what);
    }
}
