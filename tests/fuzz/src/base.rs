//! The dumps that `commands` changes, each made once.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use vmleak::addr::Pfn;
use vmleak::dump::Dump;
use vmleak::types::{Btf, DebugFile, Dwarf, StructType, TypeError, TypeId, TypeSource};
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::{elf, notes::note};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

const PAGE: usize = 4096;

pub(crate) struct Base {
    /// An ELF file.
    pub(crate) dump: Vec<u8>,
    /// Where memory begins in it.
    pub(crate) memory: usize,
    pub(crate) types: Source,
    /// For its symbols.
    pub(crate) vmlinux: DebugFile,
}

#[derive(Clone, Debug)]
pub(crate) enum Source {
    Btf(Arc<Btf>),
    Dwarf(Arc<Dwarf>),
}

impl Source {
    fn get(&self) -> &dyn TypeSource {
        match self {
            Self::Btf(btf) => btf.as_ref(),
            Self::Dwarf(dwarf) => dwarf.as_ref(),
        }
    }
}

impl TypeSource for Source {
    fn has_home(&self, home: &str) -> bool {
        self.get().has_home(home)
    }

    fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<TypeId>, TypeError> {
        self.get().find_struct(name, home, everywhere)
    }

    fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
        self.get().get_struct(id)
    }

    fn find_enum(&self, name: &str, home: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        self.get().find_enum(name, home)
    }

    fn origin(&self) -> &'static str {
        self.get().origin()
    }
}

/// A synthetic kernel with connections.
pub(crate) fn synthetic(era: Era) -> &'static Base {
    static MADE: [OnceLock<Base>; 4] = [const { OnceLock::new() }; 4];
    let index = Era::ALL.iter().position(|each| *each == era).unwrap_or(0);
    MADE[index].get_or_init(|| {
        let machine = Machine::build(era, PagingLevels::Four, &Scenario::conntrack());
        let dump = elf::elf(&machine, elf::Options::default());
        let file = || {
            let bytes = vmlinux(&machine, VmlinuxOptions::new(5));
            DebugFile::from_bytes(Path::new("vmlinux"), bytes).expect("the synthetic vmlinux opens")
        };
        let btf = Btf::from_file(Arc::new(file())).expect("it has BTF");
        Base {
            memory: dump.len() - machine.memory().len() * PAGE,
            dump,
            types: Source::Btf(Arc::new(btf)),
            vmlinux: file(),
        }
    })
}

/// The small dump that comes with the project, as an ELF file: pages that lie beside each other
/// are a segment.
pub(crate) fn small() -> &'static Base {
    static MADE: OnceLock<Base> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut folders = folder.map(|each| each.join("corpora/small-6.12"));
        let folder = folders.find(|each| each.is_dir()).expect("the small dump");
        let dump = Dump::open(&[folder.join("vmcore")], 1 << 20).expect("it opens");
        let file = || DebugFile::open(&folder.join("vmlinux")).expect("its vmlinux opens");
        let (dump, memory) = as_elf(&dump);
        Base {
            dump,
            memory,
            types: Source::Dwarf(Arc::new(
                Dwarf::new(Arc::new(file())).expect("it has DWARF"),
            )),
            vmlinux: file(),
        }
    })
}

fn as_elf(dump: &Dump) -> (Vec<u8>, usize) {
    let mut segments: Vec<(u64, u64)> = Vec::new();
    let mut pages = Vec::new();
    for pfn in 0..dump.max_pfn() {
        let Ok(page) = dump.page(Pfn(pfn)) else {
            continue;
        };
        pages.extend_from_slice(&page);
        match segments.last_mut() {
            Some((start, count)) if *start + *count == pfn => *count += 1,
            _ => segments.push((pfn, 1)),
        }
    }
    let info = dump.notes().vmcoreinfo.as_ref().expect("it has VMCOREINFO");
    let mut notes = Vec::new();
    note(&mut notes, "VMCOREINFO", 0, info.text().as_bytes());
    let headers = 64 + (segments.len() + 1) * 56;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([0; 8]);
    file.extend(64u64.to_le_bytes());
    file.extend([0; 12]);
    for half in [64, 56, segments.len() as u16 + 1, 0, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut at = headers as u64;
    let mut segment = |kind: u32, address: u64, len: u64| {
        file.extend(kind.to_le_bytes());
        file.extend(4u32.to_le_bytes());
        for word in [at, 0, address, len, len, 0] {
            file.extend(word.to_le_bytes());
        }
        at += len;
    };
    segment(4, 0, notes.len() as u64);
    for (start, count) in &segments {
        segment(1, start * PAGE as u64, count * PAGE as u64);
    }
    file.extend(&notes);
    let memory = file.len();
    file.extend(&pages);
    (file, memory)
}
