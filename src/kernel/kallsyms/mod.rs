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
use crate::space::{AddressSpace, MemFault};
use crate::types::{Kallsyms, KallsymsError, KallsymsTables};

/// Kernels have 100,000 to 300,000 symbols.
const MAX_SYMBOLS: u32 = 1 << 21;
/// A name takes 10 to 15 bytes in the mean.
const MAX_BYTES_PER_NAME: usize = 64;
/// How much of the names is read at a time.
const PIECE: usize = 4 << 20;
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

/// Reads the tables and finds out how they are written. What VMCOREINFO does not name is where
/// `symbol` says, if it does.
///
/// # Errors
/// If nothing places them, or they can't be read or decoded.
pub fn read(
    space: &AddressSpace,
    symbol: impl Fn(&str) -> Option<VirtAddr>,
) -> Result<Kallsyms, OwnSymbolsError> {
    let info = space.dump().notes().vmcoreinfo.as_ref();
    let info = info.ok_or(OwnSymbolsError::NotNamed)?;
    let stext = info.symbol("_stext").ok_or(OwnSymbolsError::NotNamed)?;
    let named = Places::named(|name| info.symbol(name).or_else(|| symbol(name)));
    let places = match named {
        Some(places) => places,
        None => Places::found(space, stext).ok_or(OwnSymbolsError::NotNamed)?,
    };
    let mut tables = read_tables(space, &places)?;
    tables.stext = stext.0;
    let mut kallsyms = Kallsyms::decode(tables)?;
    if places.found {
        kallsyms
            .encoding
            .push_str(", tables found by their structure");
    }
    Ok(kallsyms)
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
    fn named(symbol: impl Fn(&str) -> Option<VirtAddr>) -> Option<Self> {
        Some(Self {
            names: symbol("kallsyms_names")?,
            num_syms: symbol("kallsyms_num_syms")?,
            token_table: symbol("kallsyms_token_table")?,
            token_index: symbol("kallsyms_token_index")?,
            offsets: symbol("kallsyms_offsets"),
            addresses: symbol("kallsyms_addresses"),
            relative_base: symbol("kallsyms_relative_base"),
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
            offsets: tables.offsets,
            addresses: tables.addresses,
            relative_base: tables.relative_base,
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
        names_at: places.names.0,
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
    let mut out = Vec::new();
    while out.len() < len {
        let done = out.len();
        let step = (len - done).min(PIECE);
        let start = at.plus(done as u64);
        match done {
            // Memory of zeros: nothing is written twice.
            0 => out = vec![0; step],
            _ => out.resize(done + step, 0),
        }
        let piece = out.get_mut(done..).unwrap_or_default();
        if space.read(start, piece).is_err() {
            out.truncate(done);
            return read_pages_up_to(space, start, step, out);
        }
    }
    Ok(out)
}

/// Adds to `out` the pages from `at` on up to the first that can't be read.
fn read_pages_up_to(
    space: &AddressSpace,
    at: VirtAddr,
    len: usize,
    mut out: Vec<u8>,
) -> Result<Vec<u8>, MemFault> {
    let end = out.len() + len;
    let start = out.len();
    while out.len() < end {
        match space.page_at(at.plus((out.len() - start) as u64)) {
            Ok((page, within)) => {
                let rest = page.get(within..).unwrap_or_default();
                let rest = rest.get(..end - out.len()).unwrap_or(rest);
                out.extend_from_slice(rest);
            }
            Err(fault) if out.is_empty() => return Err(fault),
            Err(_) => break,
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use vmleak_synth::{Era, Machine, PagingLevels, Scenario, damage};

    use super::*;
    use crate::kernel::synthetic;

    #[test]
    fn a_table_is_read_up_to_the_first_page_that_is_lost() {
        const PAGE: u64 = 4096;
        let mut m = Machine::build(Era::V6_12, PagingLevels::Four, &Scenario::standard());
        let start = m.kernel.alloc(4 * PAGE, PAGE);
        let bytes: Vec<u8> = (0..4 * PAGE).map(|at| (at % 251) as u8).collect();
        m.kernel.write(start, &bytes);
        let read = |m: &Machine| {
            let kernel = synthetic::kernel(m);
            read_up_to(&kernel.space, VirtAddr(start + 100), bytes.len() - 100)
        };
        assert_eq!(read(&m).unwrap(), bytes[100..]);
        damage::exclude_address(&mut m, start + 2 * PAGE);
        assert_eq!(read(&m).unwrap(), bytes[100..2 * PAGE as usize]);
        damage::exclude_address(&mut m, start);
        assert!(read(&m).is_err());
    }
}
