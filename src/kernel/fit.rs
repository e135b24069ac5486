//! Whether symbols are those of the kernel in the dump.

use super::{KernelError, run_time_address};
use crate::dump::VmcoreInfo;
use crate::space::{AddressSpace, BootFacts};
use crate::types::SymbolTable;

/// Symbols that VMCOREINFO has too. Kernels of one architecture are linked to the same `_stext`; the
/// others lie behind its code, so they differ from build to build.
const CHECKED: [&str; 4] = ["_stext", "init_uts_ns", "init_top_pgt", "swapper_pg_dir"];

/// Bytes of `struct uts_namespace` in which the names lie.
const UTS_BYTES: usize = 400;

/// Whether symbols are where VMCOREINFO has them.
///
/// # Errors
/// If they are another kernel's.
pub fn check_symbols(
    info: &VmcoreInfo,
    boot: &BootFacts,
    symbols: &SymbolTable,
) -> Result<(), KernelError> {
    for name in CHECKED {
        let by_symbols = run_time_address(symbols, name, boot);
        if let (Some(dump), Some(symbols)) = (info.symbol(name), by_symbols)
            && dump != symbols
        {
            return Err(KernelError::WrongKernel {
                name,
                dump,
                symbols,
            });
        }
    }
    Ok(())
}

/// Whether the kernel says at `init_uts_ns` that it is of the release that was found: where no
/// VMCOREINFO has told of any symbol.
///
/// # Errors
/// If it says something else there: the symbols are another kernel's.
pub fn check_release(space: &AddressSpace, symbols: &SymbolTable) -> Result<(), KernelError> {
    const NAME: &str = "init_uts_ns";
    let info = space.dump().notes().vmcoreinfo.as_ref();
    let found = info.filter(|info| !info.is_written_by_kernel());
    let (Some(release), Some(at)) = (
        found.and_then(VmcoreInfo::release),
        run_time_address(symbols, NAME, space.boot()),
    ) else {
        return Ok(());
    };
    let names = space.read_bytes(at, UTS_BYTES).unwrap_or_default();
    match memchr::memmem::find(&names, release.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(KernelError::OtherRelease {
            name: NAME,
            at,
            release: release.to_owned(),
        }),
    }
}
