//! What is no dump that can be read: named, with what makes one of it.

use super::*;

fn refused(bytes: Vec<u8>) -> String {
    let error = Dump::from_bytes(Path::new("dump"), bytes, 1 << 20).expect_err("no dump");
    let text = error.to_string();
    assert!(!text.contains('\n') && text.starts_with("dump: "), "{text}");
    text
}

#[test]
fn other_formats_are_named_with_a_remedy() {
    let padded = |magic: &[u8]| {
        let mut bytes = magic.to_vec();
        bytes.resize(8192, 0);
        bytes
    };
    for (magic, name, remedy) in [
        // LKCD's DUMP_MAGIC_NUMBER 0xa8190173618f23ed in both byte orders.
        (&b"\xed\x23\x8f\x61\x73\x01\x19\xa8"[..], "LKCD", "crash"),
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "LKCD", "crash"),
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "mainframe", "zgetdump"),
        (b"\xd0\xbe\xd0\xbe", "VMware", "vmss2core"),
        (b"LibvirtQemudPart", "virsh save", "virsh dump"),
        (b"LinuxGuestRecord", "Xen", "crash"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xffXENF", "Xen", "crash"),
        (b"PAGEDU64", "Windows", "WinDbg"),
        (b"minidump FreeBSD/amd64", "FreeBSD", "kgdb"),
        (b"ProblemType: KernelCrash", "apport", "apport-unpack"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "Git LFS",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "web page", "download"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7-Zip", "7z x dump"),
        (b"PK\x03\x04", "zip", "unzip dump"),
        (b"-----BEGIN PGP MESSAGE-----", "PGP", "gpg --decrypt dump"),
        (b"\x28\xb5\x2f\xfd", "zstd", "unzstd -k dump"),
        (b"nonesuch", "not a crash dump", "nonesuch"),
    ] {
        let text = refused(padded(magic));
        assert!(text.contains(name) && text.contains(remedy), "{text}");
    }
    // Formats that are read, and bytes that are none of them.
    for (magic, wrong) in [
        (&b"EMiL\x02\0\0\0"[..], "version 2 of the LiME format"),
        (b"AVML\x03\0\0\0", "version 3 of the AVML format"),
        (b"QEVM\0\0\0\x09", "no QEMU stream of version 3"),
        (b"QEVM\0\0\0\x03\x42", "unknown section type 0x42"),
        (b"LibvirtQemudSave", "no QEMU stream"),
        (b"\xd2\xbe\xd2\xbe", "no table of groups"),
        (b"sadump\0\0", "the header is damaged"),
    ] {
        let text = refused(padded(magic));
        assert!(text.contains(wrong), "{text}");
    }
    let mut save = padded(b"LibvirtQemudSave");
    save[20..24].copy_from_slice(&100u32.to_le_bytes());
    save[28..32].copy_from_slice(&5u32.to_le_bytes());
    let text = refused(save);
    assert!(text.contains("tail -c +193 dump | unzstd"), "{text}");
    let mut tar = vec![0; 8192];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refused(tar).contains("tar -xf dump"));
}

/// `struct disk_dump_header` of other machines: the version of a big-endian one reads wrong, the
/// block size of a 32-bit one lies 12 bytes earlier. All have `uname -m` at 272.
#[test]
fn compressed_dumps_of_other_machines_are_named() {
    let mut bytes = kdump::kdump(&machine(), kdump::Options::new(Written::Zlib));
    let name = |bytes: &mut Vec<u8>, name: &[u8]| {
        bytes[272..337].fill(0);
        bytes[272..272 + name.len()].copy_from_slice(name);
    };
    name(&mut bytes, b"s390x");
    let little: [u8; 4] = bytes[8..12].try_into().expect("four");
    bytes[8..12].copy_from_slice(&[0, 0, 0, 6]);
    let text = refused(bytes.clone());
    assert!(
        text.contains("big-endian") && text.contains("s390x"),
        "{text}"
    );
    bytes[8..12].copy_from_slice(&little);
    name(&mut bytes, b"i686");
    bytes[416..420].copy_from_slice(&4096u32.to_le_bytes());
    bytes[428..432].copy_from_slice(&1u32.to_le_bytes());
    let text = refused(bytes);
    assert!(text.contains("32-bit") && text.contains("i686"), "{text}");
}

#[test]
fn elf_files_of_other_forms_are_named() {
    let good = segments(&[(0x1000, &[1; 4096], 4096)]);
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = good.clone();
        for (at, byte) in changes {
            bytes[*at] = *byte;
        }
        bytes
    };
    // EI_CLASS at 4, EI_DATA at 5, e_type at 16, e_machine at 18, e_phnum at 56.
    let s390 = with(&[(5, 2), (16, 0), (17, 4), (18, 0), (19, 22)]);
    let text = refused(s390.clone());
    assert!(
        text.contains("big-endian") && text.contains("S390"),
        "{text}"
    );
    let text = refused(with(&[(4, 1), (18, 3)]));
    assert!(text.contains("32-bit") && text.contains("386"), "{text}");
    let text = refused(with(&[(56, 0)]));
    assert!(text.contains("without program headers"), "{text}");
    // A core of any machine is for a dump, not for a debug file.
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (bytes, is) in [
        (good.clone(), true),
        (s390, true),
        (with(&[(16, 2)]), false),
    ] {
        let path = folder.path().join("core");
        std::fs::write(&path, bytes).expect("a file writes");
        assert_eq!(looks_like_dump(&path), is);
    }
}

/// A paravirtualised domain's page tables have frame numbers of the machine; behind a hypervisor
/// there are notes of it.
#[test]
fn dumps_behind_xen_are_refused() {
    let core = images::xen::core(&images::Image::of(&machine()), true);
    let text = refused(core);
    assert!(
        text.contains("paravirtualised Xen") && text.contains("crash"),
        "{text}"
    );

    for owner in [&b"Xen\0"[..], b"VMCOREINFO_XEN\0\0"] {
        let mut notes = (owner.len() as u32).to_le_bytes().to_vec();
        notes.extend(8u32.to_le_bytes());
        notes.extend(0x0100_0002u32.to_le_bytes());
        notes.extend(owner);
        notes.extend([1; 8]);
        let mut dom0 = segments(&[(0, &notes, 0), (0x1000, &[1; 4096], 4096)]);
        // PT_NOTE.
        dom0[64] = 4;
        let text = refused(dom0);
        assert!(
            text.contains("Xen host") && text.contains("crash"),
            "{text}"
        );
    }
}
