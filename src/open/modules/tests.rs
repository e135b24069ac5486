//! The search for modules' files, in folders made for it.

use super::*;

const REL: &str = "lib/modules/6.12.1/kernel/net";

fn info() -> VmcoreInfo {
    VmcoreInfo::parse(b"OSRELEASE=6.12.1\n")
}

/// The smallest module's file: a build-id of twenty `id`, `.debug_info` if it is not stripped.
fn ko(id: u8, stripped: bool) -> Vec<u8> {
    let names = b"\0.note.gnu.build-id\0.debug_info\0.modinfo\0.shstrtab\0";
    let mut note = [4u32, 20, 3].map(u32::to_le_bytes).concat();
    note.extend(b"GNU\0");
    note.extend([id; 20]);
    // Name, type and content of each section.
    let sections: [(u32, u32, &[u8]); 5] = [
        (0, 0, b""),
        (1, 7, &note),
        (20, 1, if stripped { b"" } else { &[0; 16] }),
        (32, 1, b"license=GPL\0name=nf_conntrack\0"),
        (41, 3, names),
    ];
    let mut body = Vec::new();
    let mut headers = Vec::new();
    for (name, kind, content) in sections {
        let at = 64 + body.len() as u64;
        headers.extend([name, kind].map(u32::to_le_bytes).concat());
        for word in [0, 0, at, content.len() as u64, 0, 1, 0] {
            headers.extend(word.to_le_bytes());
        }
        body.extend(content);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    // ET_REL, x86_64.
    out.extend([1u16, 62, 1, 0].map(u16::to_le_bytes).concat());
    for word in [0, 0, 64 + body.len() as u64] {
        out.extend(u64::to_le_bytes(word));
    }
    out.extend([0u16, 0, 64, 0, 0, 64, 5, 4].map(u16::to_le_bytes).concat());
    [out, body, headers].concat()
}

fn put(root: &Path, path: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn id(byte: u8) -> String {
    format!("{byte:02x}").repeat(20)
}

/// What is found below `root` for `wanted`.
fn find(root: &Path, wanted: &str) -> Result<PathBuf, OpenError> {
    found(root, &[], false, wanted)
}

fn found(root: &Path, given: &[&Path], force: bool, wanted: &str) -> Result<PathBuf, OpenError> {
    let debug = DebugInfo {
        options: Options {
            debug_directories: vec![root.to_owned()],
            no_default_debug_directories: true,
            force,
            ..Options::default()
        },
        given: given.iter().map(|path| (*path).to_owned()).collect(),
        vmlinux: None,
        btf: None,
        profile: None,
    };
    let info = info();
    let files = ModuleFiles::new(&debug, &info);
    let file = files.find("nf_conntrack", Some(wanted));
    file.map(|file| file.path().to_owned())
}

#[test]
fn by_build_id_before_by_release() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let zst = zstd::encode_all(ko(7, false).as_slice(), 1).unwrap();
    put(root, &format!("{REL}/a/nf-conntrack.ko"), &ko(7, true));
    let by_release = put(root, &format!("{REL}/nf-conntrack.ko.zst"), &zst);
    assert_eq!(find(root, &id(7)).unwrap(), by_release);
    let rest = "07".repeat(19);
    let by_id = put(root, &format!(".build-id/07/{rest}.debug"), &ko(7, false));
    assert_eq!(find(root, &id(7)).unwrap(), by_id);
}

#[test]
fn a_file_of_another_build_is_refused_with_both_ids() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let other = put(root, &format!("{REL}/nf_conntrack.ko.debug"), &ko(8, false));
    let error = find(root, &id(7)).unwrap_err().to_string();
    assert!(error.contains(&id(7)) && error.contains(&id(8)), "{error}");
    assert_eq!(found(root, &[], true, &id(7)).unwrap(), other);
    let right = put(root, &format!("{REL}/x/nf_conntrack.ko"), &ko(7, false));
    assert_eq!(find(root, &id(7)).unwrap(), right);
    // The longest kind of id has zeros behind it in `module.build_id`.
    assert_eq!(find(root, &(id(7) + "0000")).unwrap(), right);
}

#[test]
fn files_given_are_known_by_their_name_or_by_what_they_state() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    put(root, &format!("{REL}/nf_conntrack.ko"), &ko(7, false));
    for name in ["nf-conntrack.ko.debug", "renamed"] {
        let given = put(root, name, &ko(7, false));
        assert_eq!(found(root, &[&given], false, &id(7)).unwrap(), given);
    }
    let stripped = put(root, "nf_conntrack.ko", &ko(7, true));
    let error = found(root, &[&stripped], false, &id(7));
    assert!(matches!(error, Err(OpenError::StrippedModule { .. })));
    let other = put(root, "nf_conntrack.ko", &ko(9, false));
    let error = found(root, &[&other], false, &id(7));
    assert!(matches!(error, Err(OpenError::OtherModuleBuild { .. })));
}

#[test]
fn what_is_nowhere_names_the_package() {
    let root = tempfile::tempdir().unwrap();
    let error = find(root.path(), &id(7)).unwrap_err();
    assert!(error.to_string().contains("linux-image-6.12.1-dbg"));
    let OpenError::NoModuleFile { looked, .. } = error else {
        panic!("nothing is there");
    };
    assert_eq!(looked.len(), 3);
}
