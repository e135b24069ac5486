//! One dump in every form, on every number of threads: one report. And real dumps cut
//! short and with damaged headers.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{RealDump, real_dumps, run, skip, slabs_json, without_form};

/// Has scripts/dump-forms rewrite the dump with makedumpfile and drgn; kept between runs.
fn forms(dump: &RealDump) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("forms-{}", dump.name));
    if folder.join("elf").is_file() && folder.join("done").is_file() {
        return Some(folder);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/dump-forms");
    let made = Command::new(script).arg(&dump.vmcore).arg(&folder).output();
    match made {
        Ok(output) if output.status.success() => {
            std::fs::write(folder.join("done"), "").expect("the target directory is writable");
            Some(folder)
        }
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            skip(&format!(
                "{}: scripts/dump-forms fails: {}",
                dump.name,
                why.lines().last().unwrap_or_default()
            ));
            None
        }
        Err(error) => {
            skip(&format!("{}: scripts/dump-forms: {error}", dump.name));
            None
        }
    }
}

#[test]
fn every_form_and_thread_count_gives_one_report() {
    for dump in real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]) {
        let Some(folder) = forms(&dump) else { continue };
        let (_, document) = slabs_json(&[&dump.vmcore, &dump.vmlinux], &[]);
        let want = without_form(document);
        let file = |name: &str| folder.join(name);
        let sets = [
            vec![file("zstd")],
            vec![file("lzo")],
            vec![file("zlib")],
            vec![file("raw")],
            vec![file("flat")],
            vec![file("elf")],
            vec![file("split.3"), file("split.1"), file("split.2")],
        ];
        for set in sets {
            let mut files: Vec<&Path> = set.iter().map(PathBuf::as_path).collect();
            files.push(&dump.vmlinux);
            for threads in ["1", "2", "8"] {
                let (code, document) = slabs_json(&files, &["--threads", threads]);
                assert_eq!(code, 0, "{files:?}");
                assert!(
                    without_form(document) == want,
                    "{files:?}, {threads} threads"
                );
            }
        }
    }
}

/// Exit codes that an analysis of a damaged dump may have, and a message with each but success.
fn assert_honest_end(file: &Path, vmlinux: &Path, what: &str) -> i32 {
    let files = [file, vmlinux].map(|path| path.to_str().expect("UTF-8"));
    let (code, _, stderr) = run(&["slabs", "--format", "json", files[0], files[1]]);
    assert!(matches!(code, 0 | 3 | 4), "{what}: exit {code}: {stderr}");
    assert!(!stderr.contains("panicked"), "{what}: {stderr}");
    assert!(
        code == 0 || !stderr.is_empty(),
        "{what}: exit {code} without a word"
    );
    code
}

#[test]
fn a_dump_cut_anywhere_ends_honestly() {
    for dump in real_dumps(&["6.1"]) {
        let whole = std::fs::read(&dump.vmcore).expect("the dump reads");
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("cut");
        for step in 0..50 {
            let length = whole.len() * step / 50 + step * 37 % 97;
            std::fs::write(&file, &whole[..length]).expect("a file writes");
            let code = assert_honest_end(&file, &dump.vmlinux, &format!("cut at {length}"));
            assert_ne!(code, 0, "cut at {length}: the loss is not seen");
        }
    }
}

/// A small generator: the flips must be the same on every machine.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn flipped_header_bits_end_honestly() {
    for dump in real_dumps(&["6.1"]) {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("flipped");
        std::fs::copy(&dump.vmcore, &path).expect("the dump copies");
        // Dumps are read-only; the copy must not be.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(&path, mode).expect("the copy is ours");
        let file = std::fs::File::options()
            .write(true)
            .open(&path)
            .expect("it opens");
        // Header, sub header, bitmaps and the first descriptors.
        let mut header = vec![0; 0x20000];
        std::fs::File::open(&path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header))
            .expect("it reads");
        let mut state = 0x9e37_79b9_7f4a_7c15;
        for round in 0..1000 {
            let within = if round % 3 == 0 {
                0x3000
            } else {
                header.len() as u64
            };
            let at = next(&mut state) % within;
            let bit = 1 << (next(&mut state) % 8);
            let byte = header[at as usize];
            let put = |byte: u8| file.write_all_at(&[byte], at).expect("it writes");
            put(byte ^ bit);
            assert_honest_end(
                &path,
                &dump.vmlinux,
                &format!("bit {bit:#x} of byte {at:#x}"),
            );
            put(byte);
        }
    }
}
