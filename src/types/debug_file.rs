//! A debug file (vmlinux or a module's) as ELF sections.
//!
//! Sections are borrowed from the mapping where they stand ready. Those that do not are
//! made once, when first asked for: compressed ones (SHF_COMPRESSED with zlib or zstd)
//! are unpacked, those of an unlinked module relocated. A file that is compressed as a
//! whole (`.ko.xz`) is unpacked when opened.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use object::read::SectionIndex;
use object::read::elf::{ElfFile64, FileHeader, NoteIterator, SectionHeader};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection};
use rustc_hash::FxHashMap;

use super::{TypeError, relocate, wrapper};
use crate::bytes;
use crate::dump::{Access, WholeFile};

type Elf<'a> = ElfFile64<'a, LittleEndian>;

/// An ELF file with debug information.
#[derive(Debug)]
pub struct DebugFile {
    path: PathBuf,
    content: Content,
    sections: FxHashMap<String, Section>,
    build_id: Option<String>,
}

#[derive(Debug)]
enum Content {
    Whole(WholeFile),
    Unpacked(Vec<u8>),
}

impl Content {
    fn of(file: WholeFile) -> Result<Self, TypeError> {
        match wrapper::unpack(file.bytes()) {
            None => Ok(Self::Whole(file)),
            Some(Ok(bytes)) => Ok(Self::Unpacked(bytes)),
            Some(Err(error)) => Err(TypeError::BadElf {
                path: file.path().display().to_string(),
                why: match error.kind() {
                    io::ErrorKind::Unsupported => error.to_string(),
                    _ => format!("it does not unpack: {error}; is the copy complete?"),
                },
            }),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(file) => file.bytes(),
            Self::Unpacked(bytes) => bytes,
        }
    }

    fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        bytes::slice(self.bytes(), usize::try_from(offset).ok()?, len)
    }
}

#[derive(Debug)]
struct Section {
    index: SectionIndex,
    offset: u64,
    len: usize,
    format: CompressionFormat,
    /// Unpacked; what the section header states.
    size: u64,
    relocated: bool,
    /// What it is in the end, where that is not what the file holds.
    made: OnceLock<Result<Vec<u8>, String>>,
}

impl DebugFile {
    /// Maps the file and lists its sections.
    ///
    /// # Errors
    /// If it can't be read or is no 64-bit little-endian ELF file.
    pub fn open(path: &Path) -> Result<Self, TypeError> {
        Self::open_with(path, Access::Map)
    }

    /// As [`open`](Self::open), with the way in which the file is read.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(path: &Path, access: Access) -> Result<Self, TypeError> {
        Self::parse(WholeFile::open(path, access)?)
    }

    /// As [`open`](Self::open), of a file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, TypeError> {
        Self::parse(WholeFile::held(path, bytes))
    }

    fn parse(file: WholeFile) -> Result<Self, TypeError> {
        let path = file.path().to_owned();
        let content = Content::of(file)?;
        let bad = |why: String| TypeError::BadElf {
            path: path.display().to_string(),
            why,
        };
        let elf = Elf::parse(content.bytes()).map_err(|error| bad(error.to_string()))?;
        let relocated = relocate::targets(&elf);
        let mut sections = FxHashMap::default();
        for section in elf.sections() {
            let Ok(name) = section.name() else { continue };
            let Ok(range) = section.compressed_file_range() else {
                continue;
            };
            let Ok(len) = usize::try_from(range.compressed_size) else {
                continue;
            };
            if content.get(range.offset, len).is_none() {
                return Err(bad(format!(
                    "the file ends before its section {name}; is the copy complete?"
                )));
            }
            sections.entry(name.to_owned()).or_insert(Section {
                index: section.index(),
                offset: range.offset,
                len,
                format: range.format,
                size: range.uncompressed_size,
                relocated: name.starts_with(".debug_") && relocated.contains(&section.index().0),
                made: OnceLock::new(),
            });
        }
        let build_id = build_id(&elf);
        Ok(Self {
            path,
            sections,
            build_id,
            content,
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.content.bytes()
    }

    /// The GNU build-id in lower-case hex.
    pub fn build_id(&self) -> Option<&str> {
        self.build_id.as_deref()
    }

    /// Whether it has types: the kernel and modules that run are stripped.
    pub fn has_debug_info(&self) -> bool {
        self.sections
            .get(".debug_info")
            .is_some_and(|section| section.size > 0)
    }

    /// The file that dwz moved parts to which several files have in common.
    pub fn moved_to(&self) -> Option<String> {
        let link = self.section(".gnu_debugaltlink")?;
        Some(bytes::c_string(link))
    }

    /// The name of the file that debug information was split off to, and its CRC-32.
    pub fn split_to(&self) -> Option<(String, u32)> {
        let link = self.section(".gnu_debuglink")?;
        let sum = link.len().checked_sub(4)?;
        Some((bytes::c_string(link), bytes::u32_at(link, sum)?))
    }

    /// CRC-32 of all bytes, as a debug link states it.
    pub fn crc(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(self.bytes());
        crc.sum()
    }

    /// A section's bytes, unpacked and relocated; `None` if there is no such section or it is
    /// damaged.
    pub fn section(&self, name: &str) -> Option<&[u8]> {
        self.try_section(name).ok().flatten()
    }

    /// As [`section`](Self::section), with what is wrong where something is.
    ///
    /// # Errors
    /// If the section can't be unpacked or relocated.
    pub fn try_section(&self, name: &str) -> Result<Option<&[u8]>, TypeError> {
        let Some(section) = self.sections.get(name) else {
            return Ok(None);
        };
        let raw = self.content.get(section.offset, section.len);
        let raw = raw.unwrap_or_default();
        if section.format == CompressionFormat::None && !section.relocated {
            return Ok(Some(raw));
        }
        let made = section.made.get_or_init(|| self.make(section, raw));
        match made {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) => Err(TypeError::BadDebugInfo {
                path: self.path.display().to_string(),
                why: format!("{name}: {why}"),
            }),
        }
    }

    fn make(&self, section: &Section, raw: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = match section.format {
            CompressionFormat::None => raw.to_vec(),
            format => unpack(format, section.size, raw).ok_or("it does not unpack")?,
        };
        if section.relocated {
            let elf = Elf::parse(self.bytes()).map_err(|error| error.to_string())?;
            relocate::apply(&elf, section.index, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// The name of the module that this is the file of, as the kernel knows it: by `.modinfo`,
    /// else (debug files keep only debug sections) by the name of the file.
    pub fn module_name(&self) -> Option<String> {
        // scripts/mod/modpost.c writes name= since 4.13 (commit 3e2e857f9c3a).
        let modinfo = self.section(".modinfo").unwrap_or_default();
        let stated = modinfo
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(b"name="));
        match stated {
            Some(name) => Some(String::from_utf8_lossy(name).into_owned()),
            None => module_name_of(&self.path),
        }
    }
}

/// The module that a file is named after: `nf_conntrack` for `nf-conntrack.ko.debug` or
/// `nf_conntrack.ko.xz`; `None` if the name is not that of a module's file.
pub fn module_name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let (stem, rest) = name.split_once(".ko")?;
    let known = ["", ".debug"].iter().any(|kind| {
        rest.strip_prefix(kind)
            .is_some_and(|packed| matches!(packed, "" | ".gz" | ".xz" | ".zst"))
    });
    // The build names files with either; the kernel's names have underscores only.
    (known && !stem.is_empty()).then(|| stem.replace('-', "_"))
}

/// Stops at the size that the section header states, whatever the stream would yield; a header
/// that states more than any section has is not believed.
fn unpack(format: CompressionFormat, size: u64, raw: &[u8]) -> Option<Vec<u8>> {
    if size > wrapper::MAX_UNPACKED {
        return None;
    }
    let mut out = Vec::new();
    let read = match format {
        CompressionFormat::Zlib => flate2::read::ZlibDecoder::new(raw)
            .take(size)
            .read_to_end(&mut out),
        CompressionFormat::Zstandard => zstd::stream::read::Decoder::new(raw)
            .ok()?
            .take(size)
            .read_to_end(&mut out),
        _ => return None,
    };
    (read.ok()? as u64 == size).then_some(out)
}

/// From the notes of any SHT_NOTE section: vmlinux keeps its id in `.notes`, modules in
/// `.note.gnu.build-id`.
fn build_id(elf: &Elf<'_>) -> Option<String> {
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
pub fn build_id_of(path: &Path, access: Access) -> Option<String> {
    DebugFile::open_with(path, access).ok()?.build_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_unpacks_to_what_it_states_and_no_more() {
        let packed = zstd::bulk::compress(&[7; 5000], 1).unwrap();
        let sized = |size| unpack(CompressionFormat::Zstandard, size, &packed);
        assert_eq!(sized(5000), Some(vec![7; 5000]));
        assert_eq!(sized(4999), Some(vec![7; 4999]));
        assert_eq!(sized(5001), None);
        assert_eq!(sized(1 << 60), None);
    }

    #[test]
    fn files_are_named_after_modules() {
        let module = |name: &str| module_name_of(Path::new(name));
        for name in [
            "nf_conntrack.ko",
            "/lib/modules/6.12/kernel/net/nf-conntrack.ko.xz",
            "nf_conntrack.ko.debug",
            "nf_conntrack.ko.debug.zst",
            "nf_conntrack.ko.gz",
        ] {
            assert_eq!(module(name).as_deref(), Some("nf_conntrack"), "{name}");
        }
        for name in ["vmlinux", ".ko", "x.kot", "x.ko.bak", "x.o", "/"] {
            assert_eq!(module(name), None, "{name}");
        }
    }
}
