//! A debug file (vmlinux or a module's) as mapped ELF sections.
//!
//! Sections are borrowed from the mapping; compressed ones (SHF_COMPRESSED with
//! zlib or zstd) are unpacked once, when first asked for.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use object::read::elf::{ElfFile64, FileHeader, NoteIterator, SectionHeader};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection};
use rustc_hash::FxHashMap;

use super::TypeError;
use crate::dump::MappedFile;

/// A mapped ELF file with debug information.
#[derive(Debug)]
pub struct DebugFile {
    file: MappedFile,
    sections: FxHashMap<String, Section>,
    build_id: Option<String>,
}

#[derive(Debug)]
struct Section {
    offset: u64,
    len: usize,
    packed: Option<Packed>,
}

#[derive(Debug)]
struct Packed {
    format: CompressionFormat,
    size: u64,
    bytes: OnceLock<Vec<u8>>,
}

impl DebugFile {
    /// Maps the file and lists its sections.
    ///
    /// # Errors
    /// If it can't be read or is no 64-bit little-endian ELF file.
    pub fn open(path: &Path) -> Result<Self, TypeError> {
        let file = MappedFile::open(path)?;
        let bad = |error: object::Error| TypeError::BadElf {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let elf = ElfFile64::<LittleEndian, _>::parse(file.bytes()).map_err(bad)?;
        let mut sections = FxHashMap::default();
        for section in elf.sections() {
            let Ok(name) = section.name() else { continue };
            let Ok(range) = section.compressed_file_range() else {
                continue;
            };
            let packed = match range.format {
                CompressionFormat::None => None,
                format => Some(Packed {
                    format,
                    size: range.uncompressed_size,
                    bytes: OnceLock::new(),
                }),
            };
            let Ok(len) = usize::try_from(range.compressed_size) else {
                continue;
            };
            if file.get(range.offset, len).is_none() {
                return Err(TypeError::BadElf {
                    path: path.display().to_string(),
                    why: format!("the file ends before its section {name}; is the copy complete?"),
                });
            }
            sections.entry(name.to_owned()).or_insert(Section {
                offset: range.offset,
                len,
                packed,
            });
        }
        let build_id = build_id(&elf);
        Ok(Self {
            sections,
            build_id,
            file,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// All bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// The GNU build-id in lower-case hex.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// A section's bytes, unpacked; `None` if there is no such section or it does not unpack.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        let section = self.sections.get(name)?;
        let raw = self.file.get(section.offset, section.len)?;
        match &section.packed {
            None => Some(raw),
            Some(packed) => {
                let bytes = packed
                    .bytes
                    .get_or_init(|| packed.unpack(raw).unwrap_or_default());
                (bytes.len() as u64 == packed.size).then_some(bytes.as_slice())
            }
        }
    }
}

impl Packed {
    /// Stops at the size that the section header states, whatever the stream would yield.
    fn unpack(&self, raw: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let read = match self.format {
            CompressionFormat::Zlib => flate2::read::ZlibDecoder::new(raw)
                .take(self.size)
                .read_to_end(&mut out),
            CompressionFormat::Zstandard => zstd::stream::read::Decoder::new(raw)
                .ok()?
                .take(self.size)
                .read_to_end(&mut out),
            _ => return None,
        };
        read.ok()?;
        Some(out)
    }
}

/// From the notes of any SHT_NOTE section: vmlinux keeps its id in `.notes`, modules in
/// `.note.gnu.build-id`.
fn build_id(elf: &ElfFile64<'_, LittleEndian>) -> Option<String> {
    let endian = LittleEndian;
    let header = elf.elf_header();
    let data = elf.data();
    let sections = header.sections(endian, data).ok()?;
    for section in sections.iter() {
        let Ok(Some(notes)) = section.notes(endian, data) else {
            continue;
        };
        if let Some(id) = build_id_in(notes) {
            return Some(id);
        }
    }
    None
}

fn build_id_in(
    mut notes: NoteIterator<'_, object::elf::FileHeader64<LittleEndian>>,
) -> Option<String> {
    while let Ok(Some(note)) = notes.next() {
        if note.name() == object::elf::ELF_NOTE_GNU
            && note.n_type(LittleEndian) == object::elf::NT_GNU_BUILD_ID
        {
            return Some(note.desc().iter().map(|b| format!("{b:02x}")).collect());
        }
    }
    None
}

/// The build-id of the ELF file at `path`, if it is one and has one.
pub fn build_id_of(path: &Path) -> Option<String> {
    DebugFile::open(path).ok()?.build_id
}
