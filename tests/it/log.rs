//! `log` of real dumps against the dmesg of their guests.

use serde_json::Value;

use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::codec::Codec;
use vmleak_synth::write::kdump;
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

use crate::support::{RealDump, real_dumps, run};

const ALL: [&str; 5] = ["5.10", "6.1", "6.12", "7.2", "6.12-arm64"];

fn log(dump: &RealDump, more: &[&str]) -> String {
    let files = [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, stdout, stderr) = run(&[&["log"], &files[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

/// To the letter up to the capture; behind it stands how the guest died.
#[test]
fn the_log_is_dmesg_and_goes_on() {
    for dump in real_dumps(&ALL) {
        let (printed, captured) = (log(&dump, &[]), dump.captured("dmesg"));
        assert!(captured.lines().count() > 300, "{}", dump.name);
        for (ours, theirs) in printed.lines().zip(captured.lines()) {
            assert_eq!(ours, theirs, "{}", dump.name);
        }
        let rest = printed.strip_prefix(captured.as_str());
        let rest = rest.unwrap_or_else(|| panic!("{}: shorter than dmesg", dump.name));
        for said in ["sysrq: Trigger a crash", "Kernel panic - not syncing"] {
            assert!(rest.contains(said), "{}: {rest}", dump.name);
        }
    }
}

#[test]
fn without_a_vmlinux_it_is_the_same() {
    for dump in real_dumps(&ALL) {
        let vmcore = dump.vmcore.to_str().expect("UTF-8");
        let (code, own, stderr) = run(&["log", vmcore, "--no-default-debug-directories"]);
        assert_eq!(code, 0, "{}: {stderr}", dump.name);
        assert_eq!(own, log(&dump, &[]), "{}", dump.name);
    }
}

/// Sequence numbers have no gap where nothing was overwritten, time does not run back on one CPU's
/// way through boot, and the panic is the worst of all levels.
#[test]
fn records_have_levels_and_callers() {
    for dump in real_dumps(&ALL) {
        let document: Value =
            serde_json::from_str(&log(&dump, &["--format", "json"])).expect("JSON");
        let records = document["records"].as_array().expect("records");
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record["seq"], index, "{}", dump.name);
        }
        let find = |text: &str| {
            let mut all = records.iter();
            let found = all.find(|one| one["text"].as_str().is_some_and(|t| t.starts_with(text)));
            found.unwrap_or_else(|| panic!("{}: no {text}", dump.name))
        };
        // Levels by the source: pr_notice, pr_info, pr_emerg of panic().
        assert_eq!(find("Linux version")["level"], 5, "{}", dump.name);
        assert_eq!(
            find(match dump.name.ends_with("-arm64") {
                true => "Booting Linux on physical CPU",
                false => "BIOS-provided physical RAM map",
            })["level"],
            6,
            "{}",
            dump.name
        );
        assert_eq!(find("Kernel panic")["level"], 0, "{}", dump.name);
        // The boot CPU's idle task prints first, a kworker or a shell last.
        assert_eq!(find("Linux version")["caller"]["task"], 0, "{}", dump.name);
        let worse = log(&dump, &["--level", "emerg"]);
        assert!(worse.lines().count() < 10, "{}: {worse}", dump.name);
        assert!(worse.contains("Kernel panic"), "{}", dump.name);
    }
}

#[test]
fn a_log_without_the_killer_says_so() {
    for dump in real_dumps(&["6.12"]) {
        let text = log(&dump, &["--oom"]);
        assert!(
            text.contains("no report of the out-of-memory killer"),
            "{text}"
        );
        let json = log(&dump, &["--oom", "--format", "json"]);
        let document: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(document["oom"].as_array().map(Vec::len), Some(0));
    }
}

/// What a length of text that makes no sense shows of the ring ends with the record's own block.
#[test]
fn a_record_that_says_it_is_longer_than_its_block_is_cut() {
    for era in [Era::V5_10, Era::V6_12, Era::V7_2] {
        let mut m = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let kernel = &mut m.kernel;
        let ring = kernel.symbol("printk_rb_static");
        let first = kernel.get(ring, "printk_ringbuffer", "desc_ring.tail_id");
        let bits = kernel.get(ring, "printk_ringbuffer", "desc_ring.count_bits");
        let infos = kernel.get(ring, "printk_ringbuffer", "desc_ring.infos");
        let slot = first % (1 << bits);
        let info = infos + slot * kernel.types.sizeof("printk_info");
        kernel.set(info, "printk_info", "text_len", 400);
        let folder = tempfile::tempdir().expect("a temporary directory");
        let [dump, types] = ["dump", "vmlinux"].map(|name| folder.path().join(name));
        let written = kdump::kdump(&m, kdump::Options::new(Codec::Lzo));
        std::fs::write(&dump, written).expect("a file writes");
        std::fs::write(&types, vmlinux(&m, VmlinuxOptions::new(5))).expect("a file writes");
        let files = [&dump, &types].map(|path| path.to_str().expect("UTF-8"));
        let (code, stdout, stderr) = run(&["log", files[0], files[1]]);
        assert_eq!(code, 0, "{stderr}");
        let lines: Vec<&str> = stdout.lines().collect();
        let text = |line: &str| line.split_once("] ").map(|(_, text)| text.to_owned());
        let said: Vec<String> = lines.into_iter().filter_map(text).collect();
        // 48 bytes, so that nothing fills its block up to a word.
        assert_eq!(said, m.truth().messages, "{}", era.name());
    }
}

/// Up to 5.9 records lie one behind the other, and the last ones at the start of the buffer.
#[test]
fn records_of_a_buffer_are_read_around_its_end() {
    for era in [Era::V3_10, Era::V3_10El7] {
        let m = Machine::build(era, PagingLevels::Four, &Scenario::standard());
        let first = m.kernel.read_u64(m.kernel.symbol("log_first_idx")) as u32;
        let next = m.kernel.read_u64(m.kernel.symbol("log_next_idx")) as u32;
        assert!(next < first, "it has wrapped around");
        let folder = tempfile::tempdir().expect("a temporary directory");
        let [dump, types] = ["dump", "vmlinux"].map(|name| folder.path().join(name));
        let written = kdump::kdump(&m, kdump::Options::new(Codec::Zlib));
        std::fs::write(&dump, written).expect("a file writes");
        std::fs::write(&types, vmlinux(&m, VmlinuxOptions::new(5))).expect("a file writes");
        let files = [&dump, &types].map(|path| path.to_str().expect("UTF-8"));
        let (code, stdout, stderr) = run(&["log", files[0], files[1]]);
        assert_eq!(code, 0, "{stderr}");
        let text = |line: &str| line.split_once("] ").map(|(_, text)| text.to_owned());
        let said: Vec<String> = stdout.lines().filter_map(text).collect();
        assert_eq!(said, m.truth().messages, "{}", era.name());
    }
}
