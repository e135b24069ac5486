//! The commands over dumps whose memory the input has changed.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use vmleak::addr::VirtAddr;
use vmleak::analysis::leaks::held::Held;
use vmleak::analysis::leaks::history;
use vmleak::analysis::{memory, nat, oom, sysctl_check};
use vmleak::dump::Dump;
use vmleak::graph;
use vmleak::kernel::modules::{self, Modules};
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::kernel::{Kernel, KernelError};
use vmleak::render::{self, Layout};
use vmleak::report::conntrack::EntryDoc;
use vmleak::report::leaks::{Facts, LeaksReport};
use vmleak::report::log::LogReport;
use vmleak::report::memcg::MemcgReport;
use vmleak::report::meminfo::MeminfoReport;
use vmleak::report::modules::ModulesReport;
use vmleak::report::sysctl::SysctlReport;
use vmleak::report::vmalloc::VmallocReport;
use vmleak::report::{Document, RunFacts, SlabsReport};
use vmleak::subsys::mm::large_kmalloc::KmallocPages;
use vmleak::subsys::mm::slab::objects::each;
use vmleak::subsys::mm::slab::{NoProgress, SlabHeap};
use vmleak::subsys::mm::{large_kmalloc, memcg, meminfo, vmalloc};
use vmleak::subsys::net::conntrack::{Conntrack, Symbols};
use vmleak::subsys::sysctl::usage::Usage;
use vmleak::subsys::{bpf, counters, log, rcu, sysctl, system};
use vmleak::types::{SymbolTable, TypeDb};
use vmleak_synth::Era;

use super::base::{Base, small, synthetic};

const CHANGE: usize = 13;
const CHANGES: usize = 64;

/// Over synthetic kernels, which have connections. The first byte chooses the kernel and the
/// command; what follows is changes of memory, 13 bytes each: kind, where, with what.
pub fn commands(data: &[u8]) {
    let era = data.first().map_or(0, |choice| choice >> 6);
    run(synthetic(Era::ALL[usize::from(era)]), data);
}

/// Over the small real dump, which has what leaks, meminfo, vmalloc and sysctl need.
pub fn commands_small(data: &[u8]) {
    run(small(), data);
}

fn run(base: &Base, data: &[u8]) {
    let Some((&choice, changes)) = data.split_first() else {
        return;
    };
    let mut dump = base.dump.clone();
    for change in changes.chunks_exact(CHANGE).take(CHANGES) {
        let at = base.follow(u32::from_le_bytes([
            change[1], change[2], change[3], change[4],
        ]));
        apply(&mut dump[base.memory..], change, at);
    }
    let dump = Dump::from_bytes(Path::new("dump"), dump, 1 << 20).expect("its headers are whole");
    let types = TypeDb::new(vec![Box::new(base.types.clone())]);
    let symbols = SymbolTable::from_elf(&base.vmlinux).expect("it has symbols");
    let Ok(kernel) = Kernel::new(Arc::new(dump), types, symbols) else {
        return;
    };
    let run = Run {
        facts: RunFacts {
            system: system::collect(&kernel),
            dump: kernel.dump().facts().clone(),
        },
        kernel,
    };
    // That a command can't be run on such memory is an answer.
    let _ = match (choice & 0x3f) % 9 {
        0 => run.slabs(),
        1 => run.leaks(),
        2 => run.conntrack(),
        3 => run.meminfo(),
        4 => run.log(),
        5 => run.vmalloc(),
        6 => run.modules(),
        7 => run.sysctl(),
        _ => run.memcg(),
    };
}

/// Words rather than bytes: most of what is damaged by chance is a pointer or a counter.
fn apply(memory: &mut [u8], change: &[u8], followed: Option<usize>) {
    let word = |at: usize, len: usize| {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&change[at..at + len]);
        u64::from_le_bytes(bytes)
    };
    let words = memory.len() as u64 / 8;
    let place = |number: u64| (number % words) as usize * 8;
    // Mostly where the commands go: what pointers lead to.
    let at = followed.filter(|at| change[0] < 0x80 && at + 8 <= memory.len());
    let (at, value) = (at.unwrap_or_else(|| place(word(1, 4))), word(5, 8));
    let get = |memory: &[u8], at: usize| {
        u64::from_le_bytes(memory[at..at + 8].try_into().expect("eight bytes"))
    };
    let new = match change[0] & 7 {
        0 => value,
        1 => get(memory, place(value)),
        2 => get(memory, at).wrapping_add_signed((value as i8).into()),
        3 => get(memory, at) ^ 1 << (value & 63),
        4 => get(memory, at) & !0xffff_ffff | value & 0xffff_ffff,
        5 => get(memory, at).wrapping_add(value & 0xffff_fff8),
        6 => u64::MAX >> (value & 63),
        // A piece of another place.
        _ => {
            let from = place(value).min(memory.len() - 64);
            memory.copy_within(from..from + 64, at.min(memory.len() - 64));
            return;
        }
    };
    memory[at..at + 8].copy_from_slice(&new.to_le_bytes());
}

struct Run {
    kernel: Kernel,
    facts: RunFacts,
}

struct AllSymbols<'k> {
    kernel: &'k Kernel,
    modules: Modules,
}

impl Symbols for AllSymbols<'_> {
    fn address(&self, name: &str) -> Option<VirtAddr> {
        modules::resolve(self.kernel, &self.modules, name)
    }
}

/// What a terminal would act on: no control character but line feeds and tabs gets through; a
/// renderer's own colours are SGR sequences.
fn assert_harmless(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            let rest: String = chars.by_ref().take_while(|c| *c != 'm').collect();
            let own = rest
                .strip_prefix('[')
                .is_some_and(|codes| codes.chars().all(|c| c.is_ascii_digit() || c == ';'));
            assert!(own, "an escape sequence from the dump: {rest:?}");
        } else {
            assert!(
                !c.is_control() || matches!(c, '\n' | '\t'),
                "{c:?} in the text"
            );
        }
    }
}

impl Run {
    fn document<T>(&self, body: T) -> Document<T> {
        Document::new(&self.kernel, &self.facts, true, body)
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.facts.system.memory_bytes
    }

    fn slabs(&self) -> Result<(), KernelError> {
        let heap = SlabHeap::read(&self.kernel, &NoProgress)?;
        for cache in 0..heap.caches().len().min(4) {
            each(&heap, cache, |_| ());
        }
        let facts = heap.facts(&NoProgress)?;
        let mut report = SlabsReport::new(facts, self.memory_bytes());
        report.sort_by_size();
        let document = self.document(report);
        text(|out| render::slabs::write_text(out, &document, Layout::Terminal(80), true));
        json(|out| render::json(out, &document));
        let mut sink = Vec::new();
        render::slabs::write_csv(&mut sink, &document).expect("a Vec takes it");
        render::slabs::write_slabinfo(&mut sink, &document.body).expect("a Vec takes it");
        Ok(())
    }

    fn leaks(&self) -> Result<(), KernelError> {
        let options = graph::Options {
            deadline: None,
            memory: None,
            list: None,
            suspects: None,
            own_pages: true,
            progress: &NoProgress,
        };
        let memcgs = memcg::count(&self.kernel).ok();
        let (slabs, reach, counters) = graph::collect(&self.kernel, &options, |known| {
            counters::collect(
                &self.kernel,
                known.modules,
                &known.slabs.caches,
                known.all_tasks.then_some(known.tasks),
                memcgs.as_ref(),
            )
        })?;
        let page_size = self.kernel.dump().page_size() as u64;
        let memory_bytes = self.memory_bytes();
        let records = log::records_if_any(&self.kernel).0;
        let report = LeaksReport::new(Facts {
            containers: None,
            counters: counters?,
            memcgs,
            held: Held {
                grace_period: rcu::grace_period(&self.kernel),
                open: None,
                maps: bpf::with_elements(&self.kernel, 0).unwrap_or_default(),
            },
            memory: memory::by_pages(
                &reach.pages,
                counted(&self.kernel, &reach, page_size)?,
                page_size,
                memory_bytes,
            ),
            slabs,
            reach,
            history: history::events(&records, page_size).0,
            memory_bytes,
            uptime_seconds: None,
        });
        let document = self.document(report);
        text(|out| render::leaks::write_text(out, &document, Layout::Terminal(80), true));
        json(|out| render::json(out, &document));
        Ok(())
    }

    fn conntrack(&self) -> Result<(), KernelError> {
        let symbols = AllSymbols {
            kernel: &self.kernel,
            modules: Modules::read(&self.kernel)?,
        };
        let conntrack = Conntrack::open(&self.kernel, &symbols)?;
        let now = conntrack.clock().now;
        let mut known = Vec::new();
        let mut ports = nat::PortCounter::default();
        let mut lines = Vec::new();
        conntrack.table.walk(
            Vec::new,
            |entries, entry| entries.push(entry.clone()),
            |entries| {
                for entry in &entries {
                    known.push(entry.address);
                    if let Some((group, port)) = nat::PortGroup::of(entry, 0) {
                        ports.add(group, port);
                    }
                    let id = conntrack.id(entry);
                    let document = EntryDoc::of(entry, conntrack.namespaces(), id);
                    let written = render::conntrack::proc_line(&mut lines, entry, now)
                        .and_then(|()| {
                            render::conntrack::conntrack_line(&mut lines, entry, id, now)
                        })
                        .and_then(|()| render::conntrack::table_row(&mut lines, &document));
                    written.expect("a Vec takes it");
                }
                ControlFlow::Continue(())
            },
        );
        assert_harmless(&lines);
        known.extend(conntrack.listed()?.0.iter().map(|entry| entry.address));
        known.sort_unstable();
        let allocated = Conntrack::allocated(&self.kernel).unwrap_or_default();
        ports.settle();
        let _ = (conntrack.unlinked(&allocated, &known), ports.groups());
        Ok(())
    }

    fn meminfo(&self) -> Result<(), KernelError> {
        let page_size = self.kernel.dump().page_size() as u64;
        let pages = large_kmalloc::collect(&self.kernel, &NoProgress).ok();
        for precise in [false, true] {
            let facts = meminfo::collect(&self.kernel, precise)?;
            let document = self.document(MeminfoReport::new(facts, pages, page_size));
            text(|out| render::meminfo::write_text(out, &document, Layout::Terminal(80)));
            text(|out| render::meminfo::write_proc(out, &document.body));
            json(|out| render::json(out, &document));
        }
        Ok(())
    }

    fn log(&self) -> Result<(), KernelError> {
        let records = log::records(&self.kernel)?.0;
        let _ = oom::reports(&records);
        let document = self.document(LogReport { records });
        text(|out| render::log::write_text(out, &document.body, true));
        json(|out| render::json(out, &document));
        Ok(())
    }

    fn vmalloc(&self) -> Result<(), KernelError> {
        let modules = Modules::read(&self.kernel)?;
        let names = Symbolizer::new(&self.kernel, &modules);
        let facts = vmalloc::collect(&self.kernel, &names)?;
        let page_size = self.kernel.dump().page_size() as u64;
        let document = self.document(VmallocReport::new(facts, page_size));
        text(|out| render::vmalloc::write_text(out, &document, Layout::Terminal(80)));
        text(|out| render::vmalloc::write_proc(out, &document.body, false));
        json(|out| render::json(out, &document));
        Ok(())
    }

    fn memcg(&self) -> Result<(), KernelError> {
        let document = self.document(MemcgReport::new(memcg::collect(&self.kernel)?));
        text(|out| render::memcg::write_text(out, &document, Layout::Terminal(80)));
        json(|out| render::json(out, &document));
        Ok(())
    }

    fn modules(&self) -> Result<(), KernelError> {
        let all = Modules::read(&self.kernel)?;
        let facts = vmleak::subsys::modules::collect(&self.kernel, &all)?;
        let document = self.document(ModulesReport {
            modules: facts.modules,
        });
        text(|out| render::modules::write_text(out, &document, Layout::Terminal(80)));
        text(|out| render::modules::write_proc(out, &document.body));
        json(|out| render::json(out, &document));
        Ok(())
    }

    fn sysctl(&self) -> Result<(), KernelError> {
        let modules = Modules::read(&self.kernel)?;
        let wanted = sysctl::Wanted {
            network: &|_| true,
            name: &|_| true,
        };
        let facts = sysctl::collect(&self.kernel, &modules, &wanted)?;
        let mut values = sysctl_check::Values::default();
        for entry in &facts.entries {
            if let Some(value) = entry.value.clone() {
                values.insert(entry.netns, entry.name.clone(), value);
            }
        }
        let usage = Usage::read(&self.kernel, self.memory_bytes());
        let _ = sysctl_check::check(&values, &usage);
        let document = self.document(SysctlReport {
            sysctls: facts.entries,
        });
        text(|out| render::sysctl::write_text(out, &document.body));
        json(|out| render::json(out, &document));
        Ok(())
    }
}

fn text(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
    let mut out = Vec::new();
    write(&mut out).expect("a Vec takes it");
    assert_harmless(&out);
}

fn json(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) {
    let mut out = Vec::new();
    write(&mut out).expect("a document is serialised");
}

fn counted(
    kernel: &Kernel,
    reach: &graph::ReachFacts,
    page_size: u64,
) -> Result<memory::Counted, KernelError> {
    let pages = KmallocPages::of(&reach.pages, reach.blocks.marked, true);
    let facts = meminfo::of_kernel(kernel)?;
    Ok(memory::Counted {
        large_kmalloc: memory::LargeKmalloc::of(pages, &facts, page_size),
        percpu: facts.percpu_since_boot,
        page_tables: facts.page_tables,
        zspages: facts.zspages,
        owners: reach.own_pages.as_ref().map(|pages| pages.unmarked.clone()),
    })
}
