//! Relocation of the debug sections of a module (ET_REL).
//!
//! A `.ko` is an unlinked object: references between its debug sections stand in
//! `.rela.debug_*`. Input: the parsed file and a copy of one section. Output: that copy
//! as a linker would have left it with every section at address zero, which is all
//! that offsets into debug sections need. Addresses of code stay relative to their own
//! section; types don't use them.

use object::LittleEndian;
use object::elf::{
    EM_AARCH64, EM_X86_64, Machine, R_AARCH64_ABS32, R_AARCH64_ABS64, R_AARCH64_NONE,
    R_AARCH64_PREL32, R_AARCH64_PREL64, R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_NONE,
    R_X86_64_PC32, R_X86_64_PC64, RelocationType, SHT_RELA,
};
use object::read::elf::{ElfFile64, FileHeader, SectionHeader, Sym};
use object::read::{SectionIndex, SymbolIndex};
use rustc_hash::FxHashSet;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

/// Indices of the sections that relocations apply to. None in an executable: `ld --emit-relocs`
/// leaves relocations in a vmlinux where they are done already.
pub(super) fn targets(elf: &Elf<'_>) -> FxHashSet<usize> {
    let (endian, header) = (LittleEndian, elf.elf_header());
    if header.e_type(endian) != object::elf::ET_REL {
        return FxHashSet::default();
    }
    let sections = header.sections(endian, elf.data());
    sections
        .iter()
        .flat_map(|all| all.iter())
        .filter(|section| section.sh_type(endian) == SHT_RELA)
        .map(|section| section.sh_info(endian) as usize)
        .collect()
}

/// Applies all relocations for the section `target` to `bytes`, its content.
///
/// # Errors
/// What is wrong with them: a debug section that is relocated in part is of no use.
pub(super) fn apply(elf: &Elf<'_>, target: SectionIndex, bytes: &mut [u8]) -> Result<(), String> {
    let (endian, data) = (LittleEndian, elf.data());
    let machine = elf.elf_header().e_machine(endian);
    if machine != EM_X86_64 && machine != EM_AARCH64 {
        return Err(format!(
            "relocations of machine {} are not known",
            machine.0
        ));
    }
    let text = |error: object::Error| error.to_string();
    let sections = elf.elf_header().sections(endian, data).map_err(text)?;
    for section in sections.iter() {
        if section.sh_info(endian) as usize != target.0 {
            continue;
        }
        // None for a section of another kind than SHT_RELA.
        let Some((relocations, link)) = section.rela(endian, data).map_err(text)? else {
            continue;
        };
        let symbols = sections
            .symbol_table_by_index(endian, data, link)
            .map_err(text)?;
        for relocation in relocations {
            let value = match relocation.r_sym(endian, false) as usize {
                0 => 0,
                index => symbols
                    .symbol(SymbolIndex(index))
                    .map_err(text)?
                    .st_value(endian),
            };
            let value = value.wrapping_add_signed(relocation.r_addend.get(endian));
            let offset = relocation.r_offset.get(endian);
            let kind = relocation.r_type(endian, false);
            let kind = Relocation::of(machine, kind)
                .ok_or_else(|| format!("relocation type {} at {offset:#x} is not known", kind.0))?;
            write(bytes, kind, offset, value)?;
        }
    }
    Ok(())
}

/// What debug sections have of relocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relocation {
    Nothing,
    /// The value in so many bytes.
    Absolute(usize),
    /// The value less the address of its place.
    Relative(usize),
}

impl Relocation {
    /// By the numbers of a machine (System V ABI, AMD64 supplement, 4.4.1; ELF for the Arm 64-bit
    /// architecture, 5.7).
    fn of(machine: Machine, kind: RelocationType) -> Option<Self> {
        Some(match (machine, kind) {
            (EM_X86_64, R_X86_64_NONE) | (EM_AARCH64, R_AARCH64_NONE) => Self::Nothing,
            (EM_X86_64, R_X86_64_64) | (EM_AARCH64, R_AARCH64_ABS64) => Self::Absolute(8),
            (EM_X86_64, R_X86_64_32 | R_X86_64_32S) | (EM_AARCH64, R_AARCH64_ABS32) => {
                Self::Absolute(4)
            }
            (EM_X86_64, R_X86_64_PC32) | (EM_AARCH64, R_AARCH64_PREL32) => Self::Relative(4),
            (EM_X86_64, R_X86_64_PC64) | (EM_AARCH64, R_AARCH64_PREL64) => Self::Relative(8),
            _ => return None,
        })
    }
}

fn write(bytes: &mut [u8], kind: Relocation, offset: u64, value: u64) -> Result<(), String> {
    let (len, value) = match kind {
        Relocation::Nothing => return Ok(()),
        Relocation::Absolute(len) => (len, value),
        Relocation::Relative(len) => (len, value.wrapping_sub(offset)),
    };
    usize::try_from(offset)
        .ok()
        .and_then(|start| bytes.get_mut(start..start.checked_add(len)?))
        .zip(value.to_le_bytes().get(..len))
        .map(|(place, value)| place.copy_from_slice(value))
        .ok_or_else(|| format!("a relocation at {offset:#x} lies outside its section"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_at_their_width() {
        // By the numbers that the two ABIs give them.
        for (machine, [none, abs64, abs32, pc32]) in
            [(62, [0, 1, 10, 2]), (183, [0, 257, 258, 261])]
        {
            let kind = |number| Relocation::of(Machine(machine), RelocationType(number)).unwrap();
            let mut bytes = [0xff; 24];
            write(&mut bytes, kind(abs32), 0, 0x1234).unwrap();
            write(&mut bytes, kind(abs64), 4, 0x55).unwrap();
            write(&mut bytes, kind(pc32), 12, 0x10).unwrap();
            write(&mut bytes, kind(none), 99, 1).unwrap();
            assert_eq!(bytes[..4], 0x1234u32.to_le_bytes());
            assert_eq!(bytes[4..12], 0x55u64.to_le_bytes());
            assert_eq!(bytes[12..16], 4u32.to_le_bytes());
            assert_eq!(bytes[16..], [0xff; 8]);
        }
    }

    #[test]
    fn outside_and_unknown_are_errors() {
        let mut bytes = [0; 8];
        assert!(write(&mut bytes, Relocation::Absolute(8), 1, 0).is_err());
        assert!(write(&mut bytes, Relocation::Absolute(4), u64::MAX, 0).is_err());
        for (machine, kind) in [(62, 9), (183, 1), (62, 257), (183, 2), (22, 1)] {
            let kind = Relocation::of(Machine(machine), RelocationType(kind));
            assert_eq!(kind, None, "{machine}");
        }
    }
}
