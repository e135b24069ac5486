use super::*;
use crate::types::{Bits, TypeKind};

/// Writes BTF by hand.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    first_string: u32,
}

impl Writer {
    fn new(first_string: u32) -> Self {
        Self {
            strings: if first_string == 0 { vec![0] } else { vec![] },
            first_string,
            ..Self::default()
        }
    }

    fn name(&mut self, text: &str) -> u32 {
        let at = self.strings.len() as u32 + self.first_string;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn put(&mut self, name: &str, info: u32, size: u32, body: &[u32]) {
        let name = if name.is_empty() { 0 } else { self.name(name) };
        for word in [name, info, size].iter().chain(body) {
            self.types.extend(word.to_le_bytes());
        }
    }

    /// With `header` bytes in front and a layout section that knows kind 25.
    fn finish(&self, header: u32) -> Vec<u8> {
        let mut out = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let layout = [[8u8, 4, 0, 0]; 26].concat();
        let mut words = vec![header, 0, types, types, strings];
        if header >= 32 {
            words.extend([types + strings, layout.len() as u32]);
        }
        for word in words {
            out.extend(word.to_le_bytes());
        }
        out.resize(header as usize, 0);
        out.extend(&self.types);
        out.extend(&self.strings);
        if header >= 32 {
            out.extend(layout);
        }
        out
    }
}

fn info(kind: u8, count: u32, flag: bool) -> u32 {
    u32::from(flag) << 31 | u32::from(kind) << 24 | count
}

fn kernel() -> Writer {
    let mut w = Writer::new(0);
    w.put(
        "int",
        info(records::kind::INT, 0, false),
        4,
        &[1 << 24 | 32],
    ); // 1
    w.put("", info(records::kind::ARRAY, 0, false), 0, &[1, 1, 3]); // 2
    let (x, y) = (w.name("x"), w.name("y"));
    // 3: anonymous union { int x; int y:5 at bit 11; }
    w.put(
        "",
        info(records::kind::UNION, 2, true),
        4,
        &[x, 1, 0, y, 1, 5 << 24 | 11],
    );
    let (a, next) = (w.name("a"), w.name("next"));
    w.put(
        "thing",
        info(records::kind::STRUCT, 3, false),
        32,
        &[a, 2, 0, 0, 3, 96, next, 5, 128],
    ); // 4
    w.put("", info(records::kind::PTR, 0, false), 4, &[]); // 5
    w.put("thing_t", info(records::kind::TYPEDEF, 0, false), 4, &[]); // 6
    let (m, n) = (w.name("M"), w.name("N"));
    w.put(
        "e",
        info(records::kind::ENUM, 2, true),
        4,
        &[m, u32::MAX, n, 7],
    ); // 7
    w.put("wide", info(records::kind::ENUM64, 1, false), 8, &[m, 5, 1]); // 8
    w.put("declared", info(records::kind::FWD, 0, false), 0, &[]); // 9
    w.put("", info(records::kind::TYPE_TAG, 0, false), 9, &[]); // 10
    w
}

#[test]
fn structures_read_as_from_dwarf() {
    for header in [24, 32, 40] {
        let btf = Btf::new("test", kernel().finish(header)).unwrap();
        let find = |name| btf.find_struct(name, "a.c", false).unwrap();
        assert_eq!(find("thing"), Some(TypeId(4)));
        assert_eq!(find("declared"), None);
        assert_eq!(find("int"), None);
        let thing = btf.get_struct(find("thing_t").unwrap()).unwrap();
        assert_eq!(thing.size, 32);
        let names: Vec<_> = thing.members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["a", "x", "y", "next"]);
        let y = thing.member("y").unwrap();
        assert_eq!((y.offset, y.bits), (13, Some(Bits { shift: 3, width: 5 })));
        let a = thing.member("a").unwrap();
        assert!(matches!(
            a.ty.kind,
            TypeKind::Array {
                stride: 4,
                count: 3,
                ..
            }
        ));
        assert_eq!(a.ty.size, 12);
        let next = thing.member("next").unwrap();
        assert_eq!(next.ty.kind, TypeKind::Pointer(Some(TypeId(4))));
    }
}

#[test]
fn enumerations_of_both_widths() {
    let btf = Btf::new("test", kernel().finish(24)).unwrap();
    let values = |name| btf.find_enum(name, "a.c").unwrap().unwrap();
    assert_eq!(values("e"), [("M".to_owned(), -1), ("N".to_owned(), 7)]);
    assert_eq!(values("wide"), [("M".to_owned(), 1 << 32 | 5)]);
}

#[test]
fn a_modules_part_continues_the_kernels() {
    let base = Arc::new(Btf::new("vmlinux", kernel().finish(24)).unwrap());
    let mut w = Writer::new(base.end_string());
    let (t, d) = (w.name("t"), w.name("d"));
    let first = base.end_id();
    w.put(
        "declared",
        info(records::kind::STRUCT, 2, false),
        48,
        &[t, 4, 0, d, first + 1, 256],
    );
    w.put("", info(records::kind::PTR, 0, false), first, &[]);
    let module = Btf::split("mod", w.finish(24), base).unwrap();
    let found = module.find_struct("declared", "", false).unwrap().unwrap();
    let body = module.get_struct(found).unwrap();
    assert_eq!(body.members.len(), 2);
    let inner = body.member("t").unwrap().ty.kind;
    let TypeKind::Struct(inner) = inner else {
        panic!("{inner:?}")
    };
    assert_eq!(module.get_struct(inner).unwrap().size, 32);
    assert!(module.find_enum("e", "").unwrap().is_some());
    assert!(module.has_home("net/mod-core.c") && !module.has_home("mm/slub.c"));
}

#[test]
fn unknown_kinds_are_skipped_by_the_layout() {
    let mut w = kernel();
    w.put("new", info(25, 2, false), 0, &[0; 4]);
    w.put("after", info(records::kind::STRUCT, 0, false), 16, &[]);
    assert!(Btf::new("test", w.finish(24)).is_err());
    let btf = Btf::new("test", w.finish(32)).unwrap();
    let after = btf.find_struct("after", "", true).unwrap().unwrap();
    assert_eq!(btf.get_struct(after).unwrap().size, 16);
}

#[test]
fn circles_and_damage_end() {
    let mut w = Writer::new(0);
    w.put("t", info(records::kind::TYPEDEF, 0, false), 1, &[]); // itself
    w.put(
        "s",
        info(records::kind::STRUCT, 2, false),
        8,
        &[0, 2, 0, 0, 2, 0],
    ); // in itself
    w.put("", info(records::kind::ARRAY, 0, false), 0, &[3, 3, 9]); // of itself
    let m = w.name("m");
    w.put("u", info(records::kind::STRUCT, 1, false), 8, &[m, 3, 0]);
    let bytes = w.finish(24);
    let btf = Btf::new("test", bytes.clone()).unwrap();
    for name in ["t", "s", "u"] {
        let found = btf.find_struct(name, "", true).unwrap().unwrap();
        let _ = btf.get_struct(found);
    }
    let good = kernel().finish(32);
    for len in 0..good.len() {
        let _ = Btf::new("cut", good[..len].to_vec());
    }
    for at in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[at / 8] ^= 1 << (at % 8);
        if let Ok(btf) = Btf::new("flipped", bad) {
            for name in ["thing", "thing_t"] {
                if let Ok(Some(found)) = btf.find_struct(name, "", true) {
                    let _ = btf.get_struct(found);
                }
            }
        }
    }
}
