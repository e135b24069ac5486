//! The dumps that `commands` changes, each made once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use vmleak::addr::{Pfn, VirtAddr};
use vmleak::dump::{Dump, Page};
use vmleak::kernel::{Kernel, asked};
use vmleak::types::{Btf, DebugFile, Dwarf, SymbolTable, TypeDb, TypeSource};
use vmleak_synth::debuginfo::{VmlinuxOptions, vmlinux};
use vmleak_synth::write::{elf, notes::note};
use vmleak_synth::{Era, Machine, PagingLevels, Scenario};

const PAGE: usize = 4096;

pub(crate) struct Base {
    /// An ELF file.
    pub(crate) dump: Vec<u8>,
    /// Where memory begins in it.
    pub(crate) memory: usize,
    pub(crate) types: Arc<dyn TypeSource>,
    /// For its symbols.
    pub(crate) vmlinux: DebugFile,
    /// Of the dump as it is, to follow pointers in.
    kernel: Kernel,
    /// Variables of the kernel.
    variables: Vec<VirtAddr>,
    /// Where in the file pages lie.
    pages: BTreeMap<u64, usize>,
}

impl Base {
    fn new(dump: Vec<u8>, memory: usize, types: Arc<dyn TypeSource>, vmlinux: DebugFile) -> Self {
        let open = Dump::from_bytes(Path::new("dump"), dump.clone(), 1 << 20);
        let open = Arc::new(open.expect("the dump opens"));
        let db = TypeDb::new(vec![Box::new(types.clone())]);
        let symbols = SymbolTable::from_elf(&vmlinux).expect("it has symbols");
        let kernel = Kernel::new(Arc::clone(&open), db, symbols).expect("they fit");
        let names = asked::SYMBOLS.iter();
        let variables = names.filter_map(|name| kernel.symbol(name)).collect();
        // Pages are borrowed from the file's bytes: the lowest is the first in it.
        let lent = (0..open.max_pfn()).filter_map(|pfn| match open.page(Pfn(pfn)) {
            Ok(Page::Mapped(page)) => Some((pfn, page.as_ptr() as usize)),
            _ => None,
        });
        let lent: Vec<(u64, usize)> = lent.collect();
        let first = lent.iter().map(|(_, at)| *at).min().expect("a page");
        let pages = lent.iter().map(|(pfn, at)| (*pfn, at - first)).collect();
        Self {
            dump,
            memory,
            types,
            vmlinux,
            kernel,
            variables,
            pages,
        }
    }

    /// A word of memory that the kernel's own pointers lead to from a variable: which one, how
    /// many pointers, and at which distances are the bits of `path`.
    pub(crate) fn follow(&self, path: u32) -> Option<usize> {
        let from = path as usize & 0xff;
        let mut at = *self.variables.get(from % self.variables.len())?;
        let mut distances = path >> 10;
        // Pointers lead to links in the middle of structures as well.
        let mut next = |at: VirtAddr| {
            let distance = i64::from(distances & 0x3f) - 8;
            distances >>= 6;
            VirtAddr(at.0.wrapping_add_signed(distance * 8) & !7)
        };
        for _ in 0..path >> 8 & 3 {
            at = self.kernel.space.read_ptr(next(at)).ok()?;
        }
        let physical = self.kernel.space.translate(next(at)).ok()?.phys.0;
        let page = self.pages.get(&(physical / PAGE as u64))?;
        Some(page + (physical % PAGE as u64) as usize)
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
        let memory = dump.len() - machine.memory().len() * PAGE;
        Base::new(dump, memory, Arc::new(btf), file())
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
        let dwarf = Dwarf::new(Arc::new(file())).expect("it has DWARF");
        Base::new(dump, memory, Arc::new(dwarf), file())
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
