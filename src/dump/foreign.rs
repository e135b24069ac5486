//! Files that are no dump that can be read, by what they begin with: each by its name, with what
//! makes a dump of it.

use std::path::Path;

use super::DumpError;
use super::storage::Bytes;

/// How many first bytes are looked at.
pub(super) const LOOKED_AT: u64 = 512;

/// Outer compressions and archives: a dump may be in there, but can't be read at any place.
const WRAPPERS: [(&[u8], &str, &str); 9] = [
    (b"\x1f\x8b", "gzip", "gunzip -k"),
    (b"BZh", "bzip2", "bunzip2 -k"),
    (b"\xfd7zXZ\0", "xz", "unxz -k"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4 -k"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd -k"),
    (b"\x89LZO\0", "lzop", "lzop -d"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"-----BEGIN PGP MESSAGE", "PGP", "gpg --decrypt"),
];

const LKCD: &str = "an LKCD dump";
const LKCD_REMEDY: &str = "open it with crash, which reads it";
const XEN_SAVE: &str = "a saved Xen domain";
const XEN_REMEDY: &str =
    "take a core of the guest in its place: `xl dump-core`, which crash reads too";

/// What other files begin with, their names, and the remedy.
const FORMATS: [(&[u8], &str, &str); 15] = [
    (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", LKCD, LKCD_REMEDY),
    (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", LKCD, LKCD_REMEDY),
    (
        b"\xa8\x19\x01\x73\x61\x8f\x23\xfd",
        "a stand-alone dump of an IBM mainframe",
        "`zgetdump -f elf` makes an ELF core of it, for crash: vmleak reads little-endian machines",
    ),
    (
        b"LibvirtQemudPart",
        "a guest partly saved by `virsh save`",
        "the save did not end: `virsh dump --memory-only --format kdump-zlib` the guest",
    ),
    (b"LinuxGuestRecord", XEN_SAVE, XEN_REMEDY),
    (
        b"\xff\xff\xff\xff\xff\xff\xff\xffXENF",
        XEN_SAVE,
        XEN_REMEDY,
    ),
    (
        b"PAGEDU64",
        "a crash dump of Windows",
        "open it with WinDbg",
    ),
    (
        b"PAGEDUMP",
        "a crash dump of Windows",
        "open it with WinDbg",
    ),
    (
        b"minidump FreeBSD",
        "a crash dump of FreeBSD",
        "open it with kgdb",
    ),
    (
        b"ProblemType:",
        "a report of Ubuntu's apport",
        "`apport-unpack FILE DIRECTORY` gives the dump in it (VmCore)",
    ),
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file itself",
        "`git lfs pull` fetches it",
    ),
    (b"<!DOCTYPE", WEB_PAGE, WEB_REMEDY),
    (b"<!doctype", WEB_PAGE, WEB_REMEDY),
    (b"<html", WEB_PAGE, WEB_REMEDY),
    (
        b"MZ",
        "a kernel image (vmlinuz), not a dump",
        "give the vmcore",
    ),
];
const WEB_PAGE: &str = "a web page, not the file behind it";
const WEB_REMEDY: &str = "download it again, logged in";

/// Where the name stands in the header of a tar archive.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Of a format that is read: what is wrong with the file at `offset`.
pub(super) fn bad_header(bytes: &Bytes, offset: u64, why: String) -> DumpError {
    DumpError::BadHeader {
        path: bytes.path().to_owned(),
        offset,
        why,
    }
}

/// Says what a file is that begins with `start`.
pub(super) fn error(path: &Path, start: &[u8]) -> DumpError {
    let path = path.to_owned();
    let is_tar = start.get(TAR.0..).is_some_and(|at| at.starts_with(TAR.1));
    let tar = is_tar.then_some(("tar", "tar -xf"));
    let wrapper = WRAPPERS
        .iter()
        .find(|(magic, ..)| start.starts_with(magic))
        .map(|(_, with, command)| (*with, *command));
    if let Some((with, command)) = wrapper.or(tar) {
        let command = format!("{command} {}", path.display());
        return DumpError::Wrapped {
            path,
            with,
            command,
        };
    }
    if let Some((_, what, remedy)) = FORMATS.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return DumpError::Unsupported {
            path,
            what: format!("{what}, which vmleak does not read; {remedy}"),
        };
    }
    let magic = start.get(..start.len().min(16)).unwrap_or_default();
    DumpError::UnknownFormat {
        path,
        magic: format!("\"{}\"", magic.escape_ascii()),
    }
}
