use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::types::symbols::{Symbol, SymbolOrigin};
use crate::types::{Bits, SymbolTable, TypeDb, TypeError, TypeKind, TypeSource};
use crate::types::{Member, StructType, TypeDesc, TypeId};

/// A structure with one of every kind of member; the last contains the first again.
#[derive(Debug)]
struct Source;

fn member(name: &str, offset: u32, size: u32, kind: TypeKind, bits: Option<Bits>) -> Member {
    Member {
        name: name.to_owned(),
        offset,
        bits,
        ty: TypeDesc { size, kind },
    }
}

impl TypeSource for Source {
    fn has_home(&self, home: &str) -> bool {
        home == "mm/slub.c"
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        Ok(match (name, everywhere || !self.has_home(home)) {
            ("outer", _) => Some(TypeId(7)),
            ("elsewhere", true) => Some(TypeId(8)),
            _ => None,
        })
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        let bits = Some(Bits { shift: 3, width: 2 });
        let array = TypeKind::Array {
            element: TypeId(8),
            stride: 4,
            count: 2,
        };
        let members = match id {
            TypeId(7) => vec![
                member("pointer", 0, 8, TypeKind::Pointer(Some(TypeId(7))), None),
                member("bits", 8, 4, TypeKind::Int { signed: false }, bits),
                member("array", 12, 8, array, None),
                member("inner", 20, 4, TypeKind::Struct(TypeId(8)), None),
            ],
            _ => vec![
                member("value", 0, 4, TypeKind::Int { signed: true }, None),
                member("again", 0, 24, TypeKind::Struct(TypeId(7)), None),
            ],
        };
        Ok(StructType { size: 24, members })
    }

    fn find_enum(&self, name: &str, _: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        Ok((name == "pageflags").then(|| vec![("PG_slab".to_owned(), 9)]))
    }

    fn origin(&self) -> &'static str {
        "test"
    }
}

fn written() -> Vec<u8> {
    let types = TypeDb::new(vec![Box::new(Source)]);
    let identity = ProfileIdentity {
        build_id: Some("0a1b".to_owned()),
        ..ProfileIdentity::default()
    };
    let mut writer = ProfileWriter::new(&types, identity);
    for name in ["outer", "elsewhere", "absent"] {
        writer.structure(name, &["mm/none.c", "mm/slub.c"]).unwrap();
    }
    writer.enumeration("pageflags", "mm/slub.c").unwrap();
    writer.enumeration("absent", "mm/slub.c").unwrap();
    let symbols = vec![
        Symbol::new(b"init_net", 0xffff_ffff_8200_0010, true),
        Symbol::new(b"ct_id_seed.3", 0x20, false),
    ];
    let table = SymbolTable::new(SymbolOrigin::Kallsyms, symbols);
    writer.symbols(&table, |at| at + 1, ["init_net", "ct_id_seed", "prb"]);
    writer.finish().unwrap()
}

fn parse(bytes: &[u8]) -> Result<Profile, TypeError> {
    Profile::parse(Path::new("x.profile"), bytes)
}

#[test]
fn types_are_as_they_were() {
    let profile = Arc::new(parse(&written()).unwrap());
    assert_eq!(profile.identity().build_id.as_deref(), Some("0a1b"));
    let types = TypeDb::new(vec![Box::new(profile)]);
    assert!(types.has_home("mm/slub.c") && !types.has_home("mm/none.c"));
    let outer = types.find_struct("outer", "mm/slub.c", false).unwrap();
    let outer = outer.unwrap();
    let place = |path: &str| {
        let found = outer.member(path).unwrap()?;
        Some((found.offset, found.ty.size, found.bits))
    };
    assert_eq!(place("pointer"), Some((0, 8, None)));
    let bits = Some(Bits { shift: 3, width: 2 });
    assert_eq!(place("bits"), Some((8, 4, bits)));
    assert_eq!(place("array"), Some((12, 8, None)));
    assert_eq!(place("inner.value"), Some((20, 4, None)));
    assert_eq!(place("inner.none"), None);
    let find = |name, everywhere| types.find_struct(name, "mm/slub.c", everywhere).unwrap();
    assert!(find("elsewhere", false).is_none(), "its unit has none");
    assert!(find("elsewhere", true).is_some());
    assert!(find("absent", true).is_none(), "known not to exist");
    let value = types.enumerator("pageflags", "mm/slub.c", "PG_slab");
    assert_eq!(value.unwrap(), Some(9));
    assert_eq!(types.enumeration("absent", "mm/slub.c").unwrap(), None);
}

#[test]
fn what_was_not_asked_is_an_error_by_name() {
    let types = TypeDb::new(vec![Box::new(Arc::new(parse(&written()).unwrap()))]);
    let unit = types.find_struct("outer", "mm/page_alloc.c", true);
    let error = unit.expect_err("another unit").to_string();
    assert!(error.contains("struct outer"), "{error}");
    let error = types.enumeration("zone_type", "mm/slub.c").unwrap_err();
    let error = error.to_string();
    assert!(error.contains("enum zone_type") && error.contains("x.profile"));
}

#[test]
fn symbols_tell_absent_from_unknown() {
    let symbols = parse(&written()).unwrap().symbols().unwrap();
    assert_eq!(symbols.address("init_net"), Some(0xffff_ffff_8200_0011));
    assert_eq!(symbols.address("ct_id_seed.3"), Some(0x21));
    let told = [
        "init_net",
        "prb",
        "ct_id_seed",
        "ct_id_seed.3",
        "ct_id_seed.99",
    ];
    assert!(told.iter().all(|name| symbols.tells_of(name)));
    assert!(!symbols.tells_of("slab_caches"));
    assert!(!symbols.tells_of("slab_caches.1"));
}

fn plain() -> String {
    let bytes = written();
    String::from_utf8(zstd::stream::decode_all(bytes.as_slice()).unwrap()).unwrap()
}

#[test]
fn unpacked_files_read_as_well() {
    assert!(parse(plain().as_bytes()).is_ok());
}

#[test]
fn bad_files_are_refused_by_what_is_wrong() {
    let plain = plain();
    let refused = |old: &str, new: &str| {
        let changed = plain.replacen(old, new, 1);
        assert!(changed != plain, "{old} is in the file");
        parse(changed.as_bytes()).expect_err(new).to_string()
    };
    for (old, new, why) in [
        ("vmleak-profile", "vmleak-profit", "no JSON with"),
        ("\"version\":1", "\"version\":2", "newer vmleak"),
        ("\"s0\"", "\"s9\"", "has the type \"s9\""),
        ("\"u@3+2\"", "\"u@8+2\"", "has the type \"u@8+2\""),
        ("\"a4x2\"", "\"a4y2\"", "has the type"),
        ("\"0xffffffff82000011\"", "\"0xg\"", "is no address"),
        (
            "\"outer\":{\"mm/none.c\":[",
            "\"outer\":{\"mm/none.c\":[99,",
            "x.profile",
        ),
    ] {
        let error = refused(old, new);
        assert!(error.contains(why), "{new}: {error}");
    }
    let packed = written();
    for end in 0..packed.len() {
        assert!(parse(&packed[..end]).is_err(), "cut at {end}");
    }
    for end in 0..plain.len() {
        assert!(parse(&plain.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}
