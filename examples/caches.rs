//! Prints the slab caches of a dump, the largest first: `caches VMCORE [VMLINUX]`.

use std::cmp::Reverse;
use std::error::Error;

use vmleak::open::Options;
use vmleak::subsys::mm::slab::{NoProgress, SlabHeap};

fn main() -> Result<(), Box<dyn Error>> {
    let opened = vmleak::open(Options::new(std::env::args_os().skip(1)))?;
    let heap = SlabHeap::read(&opened.kernel, &NoProgress)?;
    let mut caches = heap.facts(&NoProgress)?.caches;
    caches.sort_by_key(|cache| Reverse(cache.exact.bytes));
    println!("{:>12} {:>10} NAME", "BYTES", "ALLOCATED");
    for cache in caches {
        let exact = &cache.exact;
        println!("{:>12} {:>10} {}", exact.bytes, exact.allocated, cache.name);
    }
    Ok(())
}
