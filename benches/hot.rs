//! The hot parts by themselves: `cargo bench --bench hot`. Whole commands against other tools are
//! the business of `scripts/bench`.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vmleak::addr::Pfn;
use vmleak::dump::{Codec, Dump};
use vmleak::graph;
use vmleak::kernel::Kernel;
use vmleak::subsys::mm::slab::{NoProgress, SlabHeap};
use vmleak::types::{DebugFile, Dwarf, SymbolTable, TypeDb};
use vmleak_synth::write::codec;

const CACHE: u64 = 64 << 20;

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpora/small-6.12")
        .join(name)
}

fn dump() -> Arc<Dump> {
    Arc::new(Dump::open(&[corpus("vmcore")], CACHE).expect("the small dump"))
}

fn vmlinux() -> Arc<DebugFile> {
    Arc::new(DebugFile::open(&corpus("vmlinux")).expect("its vmlinux"))
}

fn kernel() -> Kernel {
    let file = vmlinux();
    let symbols = SymbolTable::from_elf(&file).expect("symbols");
    let types = Dwarf::new(file).expect("types");
    Kernel::new(dump(), TypeDb::new(vec![Box::new(types)]), symbols).expect("a kernel")
}

/// Pages of the small dump as they are in memory.
fn pages(count: usize) -> Vec<Vec<u8>> {
    let dump = dump();
    let page = |pfn| {
        let mut page = vec![0; dump.page_size()];
        dump.read_page(Pfn(pfn), &mut page).ok()?;
        page.iter().any(|byte| *byte != 0).then_some(page)
    };
    (0..dump.max_pfn()).filter_map(page).take(count).collect()
}

fn codecs(c: &mut Criterion) {
    let pages = pages(256);
    let mut group = c.benchmark_group("decompress");
    group.throughput(Throughput::Bytes(
        pages.iter().map(|page| page.len() as u64).sum(),
    ));
    for (ours, theirs) in [
        (Codec::Lzo, codec::Codec::Lzo),
        (Codec::Zstd, codec::Codec::Zstd),
        (Codec::Zlib, codec::Codec::Zlib),
        (Codec::Snappy, codec::Codec::Snappy),
    ] {
        let packed: Vec<(Vec<u8>, u32)> = pages.iter().map(|page| theirs.store(page)).collect();
        let mut out = vec![0; 4096];
        group.bench_function(ours.to_string(), |b| {
            b.iter(|| {
                for (data, flag) in &packed {
                    let codec = if *flag == 0 { Codec::None } else { ours };
                    codec.decompress(black_box(data), &mut out).expect("a page");
                }
            });
        });
    }
    group.finish();
}

fn opening(c: &mut Criterion) {
    let file = vmlinux();
    c.bench_function("index of symbols", |b| {
        b.iter(|| SymbolTable::from_elf(black_box(&file)).expect("symbols"));
    });
    c.bench_function("types and symbols", |b| b.iter(kernel));
}

fn walks(c: &mut Criterion) {
    let kernel = kernel();
    c.bench_function("slabs", |b| {
        b.iter(|| {
            let heap = SlabHeap::read(&kernel, &NoProgress).expect("slabs");
            heap.facts(&NoProgress).expect("facts")
        });
    });
    let options = graph::Options {
        deadline: None,
        memory: None,
        list: None,
        suspects: None,
        own_pages: true,
        progress: &NoProgress,
    };
    c.bench_function("leak search", |b| {
        b.iter(|| graph::collect(&kernel, &options, |_| ()).expect("a search"));
    });
}

criterion_group!(hot, codecs, opening, walks);
criterion_main!(hot);
