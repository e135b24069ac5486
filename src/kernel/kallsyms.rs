//! The kernel's symbols out of its own memory, before anything else is known of it.
//!
//! Layer: kernel. Input: an address space made from VMCOREINFO alone, which places the
//! tables since 6.0 (commit f09bddbd8661). Output: [`Kallsyms`]. The tables lie in the
//! kernel image, which is mapped linearly. Invariant: nothing is read beyond bounds that
//! no kernel reaches, and a table that ends early is an error of its decoding.

use thiserror::Error;

use crate::addr::VirtAddr;
use crate::dump::VmcoreInfo;
use crate::space::{AddressSpace, MemFault};
use crate::types::{Kallsyms, KallsymsError, KallsymsTables};

/// Kernels have 100,000 to 300,000 symbols.
const MAX_SYMBOLS: u32 = 1 << 22;
/// A name takes 10 to 15 bytes in the mean.
const MAX_BYTES_PER_NAME: usize = 64;
const TOKEN_INDEX: usize = 512;
/// The index has 16 bits.
const MAX_TOKEN_TABLE: usize = 1 << 16;

/// Why the dump's own symbols can't be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OwnSymbolsError {
    /// A kernel before 6.0.
    #[error(
        "VMCOREINFO does not say where the kernel's symbols are (it has SYMBOL(kallsyms_names) since 6.0); give the kernel's vmlinux, or its System.map with -s"
    )]
    NotNamed,
    /// The dump lacks the pages, or they are damaged.
    #[error("the kernel's symbols can't be read: {0}; give its vmlinux, or its System.map with -s")]
    Memory(#[from] MemFault),
    /// They make no sense.
    #[error("the kernel's symbols in the dump: {0}; give its vmlinux, or its System.map with -s")]
    Decode(#[from] KallsymsError),
}

/// Reads and decodes the tables.
///
/// # Errors
/// If VMCOREINFO does not place them, or they can't be read or decoded.
pub fn read(space: &AddressSpace) -> Result<Kallsyms, OwnSymbolsError> {
    let info = space.dump().notes().vmcoreinfo.as_ref();
    let tables = info.ok_or(OwnSymbolsError::NotNamed)?;
    Ok(Kallsyms::decode(&read_tables(space, tables)?)?)
}

fn read_tables(space: &AddressSpace, info: &VmcoreInfo) -> Result<KallsymsTables, OwnSymbolsError> {
    let place = |name: &str| info.symbol(name);
    let needed = |name: &str| place(name).ok_or(OwnSymbolsError::NotNamed);
    let names = needed("kallsyms_names")?;
    let token_table = needed("kallsyms_token_table")?;
    let token_index = needed("kallsyms_token_index")?;
    let stext = needed("_stext")?;
    let count = space.read_u32(needed("kallsyms_num_syms")?)?;
    if count > MAX_SYMBOLS {
        return Err(KallsymsError::BadNames.into());
    }
    let count = count as usize;
    // The names end before the next table, where one follows.
    let bound = count * MAX_BYTES_PER_NAME;
    let until = token_table.offset_from(names).unwrap_or(u64::MAX);
    let names_len = bound.min(usize::try_from(until).unwrap_or(bound));
    let mut tables = KallsymsTables {
        count,
        names: read_up_to(space, names, names_len)?,
        token_table: read_up_to(space, token_table, MAX_TOKEN_TABLE)?,
        token_index: space.read_bytes(token_index, TOKEN_INDEX)?,
        stext: stext.0,
        ..KallsymsTables::default()
    };
    if let Some(offsets) = place("kallsyms_offsets") {
        tables.offsets = space.read_bytes(offsets, count * 4)?;
        tables.offsets_at = offsets.0;
    }
    if let Some(addresses) = place("kallsyms_addresses") {
        tables.addresses = space.read_bytes(addresses, count * 8)?;
    }
    if let Some(base) = place("kallsyms_relative_base") {
        tables.relative_base = Some(space.read_u64(base)?);
    }
    Ok(tables)
}

/// What can be read of `len` bytes: the length is a bound, not what the table has.
fn read_up_to(space: &AddressSpace, at: VirtAddr, len: usize) -> Result<Vec<u8>, MemFault> {
    let mut out = Vec::with_capacity(len.min(8 << 20));
    while out.len() < len {
        match space.page_at(at.plus(out.len() as u64)) {
            Ok((page, within)) => {
                let rest = page.get(within..).unwrap_or_default();
                let rest = rest.get(..len - out.len()).unwrap_or(rest);
                out.extend_from_slice(rest);
            }
            Err(fault) if out.is_empty() => return Err(fault),
            Err(_) => break,
        }
    }
    Ok(out)
}
