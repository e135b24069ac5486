//! Pages behind per-CPU variables, in the chunks that were added after boot (mm/percpu.c).

use super::{Claims, Owner};
use crate::kernel::cpus::Cpus;
use crate::kernel::percpu_chunks::{LaterChunks, units};
use crate::kernel::{Kernel, KernelError};

/// Those of each CPU.
pub(super) fn claim(kernel: &Kernel, claims: &mut Claims) -> Result<(), KernelError> {
    let Some(later) = LaterChunks::read(kernel)? else {
        return Ok(());
    };
    let Some(units) = units(kernel, &Cpus::read(kernel)?) else {
        return Ok(());
    };
    let page = kernel.dump().page_size() as u64;
    let owner = claims.owner(Owner::of_kernel("percpu", "variables, since boot"));
    for chunk in &later.chunks {
        let base = later.base(kernel, *chunk);
        let (Ok(base), Ok(populated)) = (base, later.populated(kernel, *chunk)) else {
            continue;
        };
        for number in populated {
            for offset in &units {
                claims.pages(owner, base.plus(offset + number * page), 1);
            }
        }
    }
    Ok(())
}
