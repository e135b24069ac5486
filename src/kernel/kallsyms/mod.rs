//! The kernel's symbols out of its own memory, before anything else is known of it.
//!
//! Layer: kernel. Input: an address space made from VMCOREINFO alone, which places the
//! tables since 6.0 (commit f09bddbd8661); before, they are found by their structure.
//! Output: [`Kallsyms`]. The tables lie in the
//! kernel image, which is mapped linearly. Invariant: nothing is read beyond bounds that
//! no kernel reaches, and a table that ends early is an error of its decoding.

mod search;

use thiserror::Error;

use crate::addr::VirtAddr;
use crate::dump::VmcoreInfo;
use crate::space::{AddressSpace, MemFault};
use crate::types::{Kallsyms, KallsymsError, KallsymsTables, SymbolNames};

/// Kernels have 100,000 to 300,000 symbols.
const MAX_SYMBOLS: u32 = 1 << 21;
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
        "VMCOREINFO does not say where the kernel's symbols are (it does since 6.0), and they are not found by their structure; give the kernel's vmlinux, or its System.map with -s"
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
    let (tables, found) = tables(space)?;
    let mut kallsyms = Kallsyms::decode(&tables)?;
    if found {
        kallsyms
            .encoding
            .push_str(", tables found by their structure");
    }
    Ok(kallsyms)
}

/// All names by address, for what the kernel prints with `%pS`.
///
/// # Errors
/// As [`read`].
pub fn read_names(space: &AddressSpace) -> Result<SymbolNames, OwnSymbolsError> {
    Ok(SymbolNames::decode(&tables(space)?.0)?)
}

/// The bytes of the tables, and whether they were found by their structure.
fn tables(space: &AddressSpace) -> Result<(KallsymsTables, bool), OwnSymbolsError> {
    let info = space.dump().notes().vmcoreinfo.as_ref();
    let info = info.ok_or(OwnSymbolsError::NotNamed)?;
    let stext = info.symbol("_stext").ok_or(OwnSymbolsError::NotNamed)?;
    let places = match Places::named(info) {
        Some(places) => places,
        None => Places::found(space, stext).ok_or(OwnSymbolsError::NotNamed)?,
    };
    let mut tables = read_tables(space, &places)?;
    tables.stext = stext.0;
    Ok((tables, places.found))
}

/// Where the tables are.
#[derive(Clone, Copy, Debug)]
struct Places {
    names: VirtAddr,
    num_syms: VirtAddr,
    token_table: VirtAddr,
    token_index: VirtAddr,
    offsets: Option<VirtAddr>,
    addresses: Option<VirtAddr>,
    relative_base: Option<VirtAddr>,
    found: bool,
}

impl Places {
    fn named(info: &VmcoreInfo) -> Option<Self> {
        Some(Self {
            names: info.symbol("kallsyms_names")?,
            num_syms: info.symbol("kallsyms_num_syms")?,
            token_table: info.symbol("kallsyms_token_table")?,
            token_index: info.symbol("kallsyms_token_index")?,
            offsets: info.symbol("kallsyms_offsets"),
            addresses: info.symbol("kallsyms_addresses"),
            relative_base: info.symbol("kallsyms_relative_base"),
            found: false,
        })
    }

    fn found(space: &AddressSpace, stext: VirtAddr) -> Option<Self> {
        let tables = search::find(space, stext)?;
        Some(Self {
            names: tables.names,
            num_syms: tables.num_syms,
            token_table: tables.token_table,
            token_index: tables.token_index,
            offsets: Some(tables.offsets),
            addresses: None,
            relative_base: Some(tables.relative_base),
            found: true,
        })
    }
}

fn read_tables(space: &AddressSpace, places: &Places) -> Result<KallsymsTables, OwnSymbolsError> {
    let count = space.read_u32(places.num_syms)?;
    if count > MAX_SYMBOLS {
        return Err(KallsymsError::BadNames.into());
    }
    let count = count as usize;
    // The names end before the next table, where one follows.
    let bound = count * MAX_BYTES_PER_NAME;
    let until = places.token_table.offset_from(places.names);
    let names_len = until.map_or(bound, |until| bound.min(until as usize));
    let mut tables = KallsymsTables {
        count,
        names: read_up_to(space, places.names, names_len)?,
        token_table: read_up_to(space, places.token_table, MAX_TOKEN_TABLE)?,
        token_index: space.read_bytes(places.token_index, TOKEN_INDEX)?,
        ..KallsymsTables::default()
    };
    if let Some(offsets) = places.offsets {
        tables.offsets = space.read_bytes(offsets, count * 4)?;
        tables.offsets_at = offsets.0;
    }
    if let Some(addresses) = places.addresses {
        tables.addresses = space.read_bytes(addresses, count * 8)?;
    }
    if let Some(base) = places.relative_base {
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
