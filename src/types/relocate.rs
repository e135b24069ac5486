//! Relocation of the debug sections of a module (ET_REL).
//!
//! A `.ko` is an unlinked object: references between its debug sections stand in
//! `.rela.debug_*`. Input: the parsed file and a copy of one section. Output: that copy
//! as a linker would have left it with every section at address zero, which is all
//! that offsets into debug sections need. Addresses of code stay relative to their own
//! section; types don't use them.

use object::LittleEndian;
use object::elf::{
    EM_X86_64, R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64,
    SHT_RELA,
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
    if machine != EM_X86_64 {
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
            write(bytes, relocation.r_type(endian, false), offset, value)?;
        }
    }
    Ok(())
}

fn write(
    bytes: &mut [u8],
    kind: object::elf::RelocationType,
    offset: u64,
    value: u64,
) -> Result<(), String> {
    let (len, value) = match kind {
        R_X86_64_NONE => return Ok(()),
        R_X86_64_64 => (8, value),
        R_X86_64_32 | R_X86_64_32S => (4, value),
        R_X86_64_PC32 => (4, value.wrapping_sub(offset)),
        R_X86_64_PC64 => (8, value.wrapping_sub(offset)),
        other => {
            return Err(format!(
                "relocation type {} at {offset:#x} is not known",
                other.0
            ));
        }
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
        let mut bytes = [0xff; 24];
        write(&mut bytes, R_X86_64_32, 0, 0x1234).unwrap();
        write(&mut bytes, R_X86_64_64, 4, 0x55).unwrap();
        write(&mut bytes, R_X86_64_PC32, 12, 0x10).unwrap();
        write(&mut bytes, R_X86_64_NONE, 99, 1).unwrap();
        assert_eq!(bytes[..4], 0x1234u32.to_le_bytes());
        assert_eq!(bytes[4..12], 0x55u64.to_le_bytes());
        assert_eq!(bytes[12..16], 4u32.to_le_bytes());
        assert_eq!(bytes[16..], [0xff; 8]);
    }

    #[test]
    fn outside_and_unknown_are_errors() {
        let mut bytes = [0; 8];
        assert!(write(&mut bytes, R_X86_64_64, 1, 0).is_err());
        assert!(write(&mut bytes, R_X86_64_32, u64::MAX, 0).is_err());
        assert!(write(&mut bytes, object::elf::R_X86_64_GOTPCREL, 0, 0).is_err());
    }
}
