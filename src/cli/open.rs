//! From the command line to a [`Kernel`]: the dump, its vmlinux, the check that they
//! belong together.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use vmleak::dump::{DEFAULT_CACHE_BYTES, Dump};
use vmleak::kernel::Kernel;
use vmleak::types::{DebugFile, Dwarf, SymbolTable, TypeDb};

use super::args::Common;
use super::locate;

/// Opens everything that a command needs.
pub(crate) fn kernel(common: &Common) -> Result<Kernel> {
    let inputs = locate::sort_out(common)?;
    let cache = common.max_memory.unwrap_or(DEFAULT_CACHE_BYTES);
    let dump = Arc::new(Dump::open(&inputs.dump, cache)?);
    let info = dump.notes().vmcoreinfo.clone().with_context(|| {
        format!(
            "{}: no VMCOREINFO in the dump, so its addresses can't be resolved; take it with kdump, or with QEMU's vmcoreinfo device",
            dump.path().display()
        )
    })?;
    let vmlinux = match inputs.vmlinux {
        Some(path) => path,
        None => locate::find_vmlinux(common, &info).map_err(|looked| {
            if common.verbose > 0 {
                for path in &looked {
                    eprintln!("vmleak: no {}", path.display());
                }
            }
            let remedy = match looked.len() {
                0 => "give the file (--no-default-debug-directories looks nowhere)".to_owned(),
                n => format!("install the kernel's debug package or give the file (looked in {n} places, -v lists them)"),
            };
            anyhow::anyhow!(
                "{}: no vmlinux with debug information for {} was found: {remedy}",
                dump.path().display(),
                info.release().unwrap_or("this kernel"),
            )
        })?,
    };
    let file = Arc::new(DebugFile::open(&vmlinux)?);
    match (info.build_id(), file.build_id()) {
        (Some(wanted), Some(found)) if wanted != found && !common.force => bail!(
            "{}: build-id {found}, but the kernel that crashed has {wanted}; give the vmlinux of {} (--force to go on all the same)",
            vmlinux.display(),
            info.release().unwrap_or("that kernel")
        ),
        _ => {}
    }
    let symbols = SymbolTable::from_elf(&file)?;
    let types = TypeDb::new(vec![Box::new(Dwarf::new(file)?)]);
    Kernel::new(dump, types, symbols).with_context(|| vmlinux.display().to_string())
}
