//! What is opened: files told apart by what is in them, packed kernels, directories, dumps cut
//! short; and what is said where a file is of no use.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{RealDump, run, small_dump};

const NOWHERE: &str = "--no-default-debug-directories";

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a directory");
        std::fs::write(&path, bytes).expect("a file writes");
        path
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The document of `info`.
fn info(args: &[&str]) -> Value {
    let args = [&["info", "--format", "json"], args].concat();
    let (code, stdout, stderr) = run(&args);
    assert_eq!(code, 0, "{args:?}: {stderr}");
    serde_json::from_str(&stdout).expect("JSON")
}

/// Exit 3 with one line that has all of `parts`.
fn refused(args: &[&str], parts: &[&str]) -> String {
    let (code, stdout, stderr) = run(args);
    assert_eq!((code, stdout.as_str()), (3, ""), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{args:?}: no {part:?} in {stderr}");
    }
    stderr
}

/// A bzImage as a boot loader takes it: one sector of setup, the packed kernel behind some code,
/// its unpacked size in the last four bytes of the payload.
fn vmlinuz(packed: &[u8], size: usize) -> Vec<u8> {
    const CODE: usize = 0x100;
    let mut image = vec![0; 1024 + CODE];
    image[0x1f1] = 1;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    let len = u32::try_from(packed.len() + 4).expect("a small kernel");
    image[0x248..0x24c].copy_from_slice(&(CODE as u32).to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&len.to_le_bytes());
    image.extend(packed);
    image.extend((size as u32).to_le_bytes());
    image.extend(b"more code");
    image
}

#[test]
fn a_packed_vmlinux_and_a_vmlinuz_are_unpacked() {
    let (small, folder) = (small_dump(), Folder::new());
    let plain = read(&small.vmlinux);
    let zst = zstd::encode_all(plain.as_slice(), 1).expect("it packs");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &plain).expect("it packs");
    let gz = gz.finish().expect("it packs");
    let files = [
        folder.put("vmlinuz-6.12", &vmlinuz(&zst, plain.len())),
        folder.put("vmlinux.zst", &zst),
        folder.put("kernel.gz", &gz),
    ];
    for file in &files {
        let document = info(&[text(file), text(&small.vmcore), NOWHERE]);
        assert_eq!(document["dump"]["types_from"], "dwarf", "{file:?}");
        // The other way in.
        let document = info(&[text(&small.vmcore), "-s", text(file), NOWHERE]);
        assert_eq!(document["dump"]["types_from"], "dwarf", "{file:?}");
    }
    let cut = folder.put("cut.zst", &zst[..zst.len() / 2]);
    refused(
        &["info", text(&small.vmcore), text(&cut)],
        &["cut.zst", "does not unpack"],
    );
    let lzo = folder.put("vmlinuz-lzo", &vmlinuz(b"\x89LZO\0rest", 9));
    let args = ["info", text(&small.vmcore), text(&lzo)];
    refused(&args, &["vmlinuz-lzo", "packed with LZO", "debug package"]);
}

#[test]
fn a_file_that_is_of_no_use_is_named() {
    let (small, folder) = (small_dump(), Folder::new());
    let (vmcore, vmlinux) = (text(&small.vmcore), text(&small.vmlinux));
    let stub = folder.put(
        "System.map-6.12",
        b"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n",
    );
    let words = folder.put("passwd", b"root:x:0:0:root:/root:/bin/bash\n");
    let packed = folder.put("vmlinux.lz4", b"\x04\x22\x4d\x18rest of it");
    let absent = folder.0.path().join("nonexistent");
    for (path, parts) in [
        (&stub, ["System.map-6.12", "the stub that Debian installs"]),
        (&words, ["passwd", "neither a dump nor a debug file"]),
        (&packed, ["vmlinux.lz4", "unlz4 -k"]),
        (&absent, ["nonexistent", "check the path"]),
    ] {
        refused(&["info", vmcore, vmlinux, "-s", text(path)], &parts);
        refused(&["info", vmcore, text(path)], &parts);
        refused(&["info", text(path), vmlinux, vmcore], &parts);
    }
    // Without a vmlinux too it is the stub that is spoken of.
    let said = refused(&["info", vmcore, NOWHERE, "-s", text(&stub)], &["the stub"]);
    assert!(
        said.starts_with(&format!("vmleak: {}: ", text(&stub))),
        "{said}"
    );
    let second = folder.put("vmlinux-other", &read(&small.vmlinux));
    let args = ["info", vmcore, vmlinux, "-s", text(&second)];
    refused(&args, &["two debug files", "vmlinux-other"]);
}

/// A System.map given without -s serves as with it.
#[test]
fn a_system_map_is_known_by_its_lines() {
    let (small, folder) = (small_dump(), Folder::new());
    let file = vmleak::types::DebugFile::open(&small.vmlinux).expect("it opens");
    let symbols = vmleak::types::SymbolTable::from_elf(&file).expect("symbols");
    let mut map = String::new();
    for name in vmleak::kernel::asked::SYMBOLS {
        if let Some(address) = symbols.address(name) {
            map += &format!("{address:016x} D {name}\n");
        }
    }
    let map = folder.put("symbols", map.as_bytes());
    let document = info(&[text(&small.vmcore), text(&map), text(&small.vmlinux)]);
    assert_eq!(document["dump"]["symbols_from"], "System.map");
}

/// Copies of the small dump, of which each is a day older than the one before.
fn crashes(folder: &Folder, small: &RealDump, files: &[(&str, usize)]) {
    let whole = read(&small.vmcore);
    for (age, (name, len)) in files.iter().enumerate() {
        let path = folder.put(name, &whole[..whole.len().min(*len)]);
        let file = std::fs::File::options()
            .append(true)
            .open(path)
            .expect("opens");
        let when = SystemTime::now() - Duration::from_secs(86_400 * age as u64);
        file.set_modified(when).expect("its time is set");
    }
}

#[test]
fn the_newest_dump_that_is_whole_is_taken_and_named() {
    let (small, folder) = (small_dump(), Folder::new());
    let files = [
        ("202601040000/dump-incomplete", 100),
        ("202601030000/dump.202601030000", 3_000_000),
        ("202601020000/vmcore", usize::MAX),
        ("202601010000/vmcore", usize::MAX),
    ];
    crashes(&folder, &small, &files);
    let args = [
        "slabs",
        text(folder.0.path()),
        text(&small.vmlinux),
        "--format",
        "csv",
    ];
    let (code, _, stderr) = run(&args);
    assert_eq!(code, 0, "{stderr}");
    for part in [
        "202601020000/vmcore was taken",
        "dump-incomplete is incomplete",
    ] {
        assert!(stderr.contains(part), "no {part:?} in {stderr}");
    }
    let document = info(&[text(folder.0.path()), text(&small.vmlinux)]);
    let path = document["dump"]["path"].as_str().expect("a path");
    assert!(path.ends_with("202601020000/vmcore"), "{path}");
    assert_eq!(document["complete"], true);
}

#[test]
fn a_directory_with_nothing_whole_names_what_it_has() {
    let (small, folder) = (small_dump(), Folder::new());
    crashes(&folder, &small, &[("202601030000/vmcore", 3_000_000)]);
    refused(
        &["slabs", text(folder.0.path()), text(&small.vmlinux)],
        &[
            "no complete dump",
            "202601030000/vmcore is cut short",
            "name it",
        ],
    );
}

/// People put the vmlinux into the folder of the dump; another build's is none.
#[test]
fn a_vmlinux_beside_the_dump_is_found_by_its_build_id() {
    let (small, folder) = (small_dump(), Folder::new());
    let dump = folder.put("vmcore", &read(&small.vmcore));
    // The kernel of this dump carries no types of its own.
    refused(&["info", text(&dump), NOWHERE], &["no vmlinux"]);
    let mut bytes = read(&small.vmlinux);
    let beside = folder.put("vmlinux", &bytes);
    assert_eq!(info(&[text(&dump)])["dump"]["types_from"], "dwarf");
    refused(&["info", text(&dump), NOWHERE], &["no vmlinux"]);
    // The note's head: four bytes of name, 20 of build-id, type 3.
    let note = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0];
    let at = bytes.windows(note.len()).position(|found| found == note);
    bytes[at.expect("a build-id") + note.len() + 4] ^= 1;
    std::fs::write(&beside, bytes).expect("a file writes");
    refused(&["info", text(&dump)], &["no vmlinux"]);
}

/// The cause comes first, and once; a debug package would not bring the pages back.
#[test]
fn a_dump_cut_short_without_vmlinux_says_so_first() {
    let (small, folder) = (small_dump(), Folder::new());
    let whole = read(&small.vmcore);
    let cut = folder.put("vmcore", &whole[..whole.len() / 2]);
    let said = refused(
        &["slabs", text(&cut), NOWHERE],
        &["copy it again", "vmlinux of 6.12.117"],
    );
    let expected = format!("vmleak: {}: cut short, ", text(&cut));
    assert!(said.starts_with(&expected), "{said}");
    assert_eq!(said.matches("cut short").count(), 1, "{said}");
    assert!(!said.contains("install"), "{said}");
}
