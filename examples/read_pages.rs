//! Reads and decompresses every page of a dump once, on all cores: the least that a search of
//! the whole dump can cost. `read_pages VMCORE [THREADS]` prints pages and seconds.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use rayon::prelude::*;
use vmleak::addr::Pfn;
use vmleak::dump::Dump;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let path = PathBuf::from(args.next().context("which dump?")?);
    let threads = args.next().and_then(|n| n.to_str()?.parse().ok());
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build_global()?;
    let started = Instant::now();
    let dump = Dump::open(&[path], 0)?;
    const BATCH: u64 = 512;
    let pages: u64 = (0..dump.max_pfn().div_ceil(BATCH))
        .into_par_iter()
        .map_init(
            || vec![0; dump.page_size()],
            |page, batch| {
                let pfns = batch * BATCH..(batch + 1) * BATCH;
                pfns.filter(|pfn| dump.read_page(Pfn(*pfn), page).is_ok())
                    .count() as u64
            },
        )
        .sum();
    println!("{pages} pages in {:.3} s", started.elapsed().as_secs_f64());
    Ok(())
}
