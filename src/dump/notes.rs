//! ELF notes: one record per CPU with its registers, VMCOREINFO, QEMU's own.
//!
//! Layout of one: namesz, descsz, type (u32 each), the name and the descriptor,
//! each padded to 4 bytes (gABI; kernel and QEMU keep 4 in ELF64 as well).

use super::vmcoreinfo::VmcoreInfo;
use crate::bytes::{c_string, slice, u32_at};

const NT_PRSTATUS: u32 = 1;
const NT_GNU_BUILD_ID: u32 = 3;
/// What a bundle says of itself, under vmleak's name.
const BUNDLE: (&str, u32) = ("VMLEAK", 1);

/// A note as a file has it.
pub(crate) fn note(name: &str, kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Its name ends with a NUL.
    out.extend((name.len() as u32 + 1).to_le_bytes());
    out.extend((desc.len() as u32).to_le_bytes());
    out.extend(kind.to_le_bytes());
    for part in [[name.as_bytes(), &[0]].concat().as_slice(), desc] {
        out.extend(part);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// What says that a dump is a bundle, and whose pages it has: the names of commands by blanks.
pub(crate) fn bundle_note(commands: &str) -> Vec<u8> {
    note(BUNDLE.0, BUNDLE.1, commands.as_bytes())
}

/// What the notes of a dump hold.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// VMCOREINFO, if there is such a note.
    pub vmcoreinfo: Option<VmcoreInfo>,
    /// The descriptors of the PRSTATUS notes, one per CPU that saved its registers.
    pub prstatus: Vec<Vec<u8>>,
    /// How many QEMU CPU state notes there are (dumps taken from outside the guest).
    pub qemu_cpus: usize,
    /// Their descriptors: `QEMUCPUState` of the architecture.
    pub qemu_states: Vec<Vec<u8>>,
    /// Whether a Xen hypervisor left notes: what the kernel takes for physical addresses are then
    /// none of the machine.
    pub xen: bool,
    /// Of a bundle: the commands that its pages are of, by blanks.
    pub bundle_of: Option<String>,
}

impl Notes {
    /// Of a dump without any.
    pub(crate) const NONE: Self = Self {
        vmcoreinfo: None,
        prstatus: Vec::new(),
        qemu_cpus: 0,
        qemu_states: Vec::new(),
        xen: false,
        bundle_of: None,
    };

    /// Adds all notes of one PT_NOTE segment; stops at the first that does not fit.
    pub(crate) fn parse(&mut self, segment: &[u8]) {
        let mut at = 0;
        while let Some((note, next)) = Note::at(segment, at) {
            match (note.name.as_str(), note.kind) {
                ("VMCOREINFO", _) => self.vmcoreinfo = Some(VmcoreInfo::parse(note.desc)),
                ("CORE", NT_PRSTATUS) => self.prstatus.push(note.desc.to_vec()),
                ("QEMU", _) => {
                    self.qemu_cpus += 1;
                    self.qemu_states.push(note.desc.to_vec());
                }
                BUNDLE => self.bundle_of = Some(String::from_utf8_lossy(note.desc).into_owned()),
                ("Xen" | "VMCOREINFO_XEN", _) => self.xen = true,
                _ => {}
            }
            at = next;
        }
    }
}

/// The descriptor of the GNU build-id note among the notes in `section`.
pub(crate) fn gnu_build_id(section: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some((note, next)) = Note::at(section, at) {
        if note.name == "GNU" && note.kind == NT_GNU_BUILD_ID {
            return Some(note.desc);
        }
        at = next;
    }
    None
}

struct Note<'a> {
    name: String,
    kind: u32,
    desc: &'a [u8],
}

impl<'a> Note<'a> {
    fn at(bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let name_len = u32_at(bytes, at)? as usize;
        let desc_len = u32_at(bytes, at + 4)? as usize;
        let kind = u32_at(bytes, at + 8)?;
        if name_len == 0 && desc_len == 0 {
            return None;
        }
        let name_at = at + 12;
        let desc_at = name_at + name_len.next_multiple_of(4);
        let note = Note {
            name: c_string(slice(bytes, name_at, name_len)?),
            kind,
            desc: slice(bytes, desc_at, desc_len)?,
        };
        Some((note, desc_at + desc_len.next_multiple_of(4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend((name.len() as u32).to_le_bytes());
        out.extend((desc.len() as u32).to_le_bytes());
        out.extend(kind.to_le_bytes());
        for part in [name, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    /// The kernel's version stands before it under the same name (NT_GNU_ABI_TAG and others),
    /// and others use the same number.
    #[test]
    fn a_build_id_is_known_by_name_and_number() {
        let mut section = note(b"GNU\0", 1, &[0; 16]);
        section.extend(note(b"Xen\0", NT_GNU_BUILD_ID, &[1; 8]));
        assert_eq!(gnu_build_id(&section), None);
        section.extend(note(b"GNU\0", NT_GNU_BUILD_ID, &[2; 20]));
        assert_eq!(gnu_build_id(&section), Some(&[2; 20][..]));
    }

    #[test]
    fn all_three_kinds_are_found() {
        let mut segment = note(b"CORE\0", 1, &[7; 336]);
        segment.extend(note(b"VMCOREINFO\0", 0, b"OSRELEASE=6.1\n"));
        segment.extend(note(b"QEMU\0", 0, &[0; 440]));
        let mut notes = Notes::default();
        notes.parse(&segment);
        assert_eq!(notes.prstatus.len(), 1);
        assert_eq!(notes.qemu_cpus, 1);
        assert_eq!(notes.vmcoreinfo.unwrap().release(), Some("6.1"));
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut section = note(b"Linux\0", 0x101, &[0]);
        assert_eq!(gnu_build_id(&section), None);
        section.extend(note(b"GNU\0", NT_GNU_BUILD_ID, &[0xab; 20]));
        assert_eq!(gnu_build_id(&section), Some(&[0xab; 20][..]));
    }

    #[test]
    fn a_note_without_a_name_is_passed_over_and_padding_ends_the_list() {
        let mut segment = note(b"", 1, &[7; 16]);
        segment.extend(note(b"CORE\0", 1, &[7; 16]));
        segment.extend([0; 12]);
        segment.extend(note(b"CORE\0", 1, &[7; 16]));
        let mut notes = Notes::default();
        notes.parse(&segment);
        assert_eq!(notes.prstatus.len(), 1);
    }

    #[test]
    fn a_note_that_lies_about_its_length_ends_the_list() {
        let mut segment = note(b"CORE\0", 1, &[7; 16]);
        segment.extend([0xff; 12]);
        let mut notes = Notes::default();
        notes.parse(&segment);
        assert_eq!(notes.prstatus.len(), 1);
    }
}
