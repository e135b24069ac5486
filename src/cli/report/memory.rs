//! Memory: what one search of the dump tells, what the kernel's counters say, who keeps what alive,
//! and processes and files.

use anyhow::Result;
use vmleak::analysis::finding::Finding;
use vmleak::graph::{self, alive};
use vmleak::kernel::modules::Modules;
use vmleak::kernel::processes::Processes;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::SlabsReport;
use vmleak::report::bpf::BpfReport;
use vmleak::report::figures;
use vmleak::report::files::FilesReport;
use vmleak::report::pages::{Division, PagesReport};
use vmleak::report::ps::PsReport;
use vmleak::report::retained::RetainedReport;
use vmleak::report::zones::ZonesReport;
use vmleak::subsys::mm::large_kmalloc::KmallocPages;
use vmleak::subsys::mm::{vmalloc, zones};
use vmleak::subsys::{bpf, fs, task};

use super::super::conntrack::Allocated;
use super::super::leaks::{self, Judged};
use super::super::machine::meminfo::Kmalloc;
use super::super::machine::{self};
use super::super::pageowner;
use super::super::session::Session;
use super::sections::{Answer, Sections, Shown};
use super::topics;

/// Rows of each list of `pages`, of files, and of owners of `retained`.
const TOP: usize = 20;
/// RAM up to which what is retained is looked for by itself.
const SMALL: u64 = 2 << 30;

/// What the search told that other sections need.
#[derive(Default)]
pub(super) struct OfSearch {
    /// Whether there was to be one.
    pub(super) asked: bool,
    /// Worst first; `None` if there was none.
    pub(super) findings: Option<Vec<Finding>>,
    /// Pages of large kmalloc.
    pub(super) kmalloc: Option<KmallocPages>,
    /// Allocated connections.
    pub(super) connections: Option<Allocated>,
}

/// Pages, leaks and slabs.
pub(super) fn of_search(sections: &mut Sections<'_>) -> OfSearch {
    let asked = topics::OF_SEARCH.iter().any(|one| sections.wants(*one));
    if !asked {
        return OfSearch::default();
    }
    let search = sections.session.question();
    let wanted = sections.wants(topics::CONNTRACK);
    let memory = sections.args.common.max_memory;
    match leaks::judged(&search, memory, None, wanted) {
        Ok(judged) => tell(sections, &search, judged),
        Err(why) => {
            // A dump whose slabs can't be read is none without a leak.
            sections.complete = false;
            let failed: Answer<SlabsReport> = Err(why);
            let text = |_: &mut Vec<u8>, _: &_| Ok(());
            let figures = |_: &_, _: &mut _| Vec::new();
            sections.tell(topics::LEAKS, &search, failed, Shown { text, figures });
            OfSearch {
                asked,
                ..OfSearch::default()
            }
        }
    }
}

fn tell(sections: &mut Sections<'_>, search: &Session, judged: Judged) -> OfSearch {
    let layout = sections.args.format.layout();
    let Judged {
        mut report,
        complete,
        pages,
        kmalloc,
        connections,
    } = judged;
    sections.redact(&mut report);
    let findings = report.findings.clone();
    let brief = &mut sections.brief;
    brief.of_findings(&findings, &report.trust, &report.coverage);
    brief.of_history(&report.history);
    let facts = report.caches.iter().map(|cache| cache.facts.clone());
    let mut slabs = SlabsReport::of(facts.collect(), report.totals.memory_bytes);
    slabs.sort_by_size();
    let mut of_pages = Vec::new();
    match pages.map(|facts| PagesReport::new(facts, Division::Zone)) {
        Some(mut pages) => {
            sections.redact(&mut pages);
            sections.brief.of_ledger(&pages.ledger, pages.page_bytes);
            of_pages.push(figures::ledger(&pages));
            if sections.wants(topics::PAGES) {
                let answer = Ok((pages, complete));
                let text = |out: &mut Vec<u8>, document: &_| {
                    render::pages::write_text(out, document, layout, TOP)
                };
                let figures = |_: &_, _: &mut _| std::mem::take(&mut of_pages);
                sections.tell(topics::PAGES, search, answer, Shown { text, figures });
            }
        }
        None => {
            sections.brief.of_parts(&report.memory.parts);
            of_pages.push(figures::memory(&report.memory));
        }
    }
    if sections.wants(topics::LEAKS) {
        let text = |out: &mut Vec<u8>, document: &_| {
            render::leaks::write_text(out, document, layout, false)
        };
        let figures = |report: &_, _: &mut _| {
            let mut all = of_pages;
            all.extend(figures::leaks(report));
            all
        };
        let answer = Ok((report, complete));
        sections.tell(topics::LEAKS, search, answer, Shown { text, figures });
    }
    if sections.wants(topics::SLABS) {
        let text = |out: &mut Vec<u8>, document: &_| {
            render::slabs::write_text(out, document, layout, false)
        };
        let figures = |_: &_, _: &mut _| Vec::new();
        let answer = Ok((slabs, complete));
        sections.tell(topics::SLABS, search, answer, Shown { text, figures });
    }
    OfSearch {
        asked: true,
        findings: Some(findings),
        kmalloc: Some(kmalloc),
        connections,
    }
}

/// What the kernel counted and recorded, and who keeps what.
pub(super) fn of_counters(
    sections: &mut Sections<'_>,
    modules: &Modules,
    kmalloc: Option<KmallocPages>,
) {
    let layout = sections.args.format.layout();
    retained(sections);
    let kmalloc = kmalloc.map_or(Kmalloc::PageStructures, Kmalloc::Known);
    sections.add(
        topics::MEMINFO,
        |session| machine::meminfo::collected(session, false, kmalloc),
        |out, document| render::meminfo::write_text(out, document, layout),
    );
    let page = sections.session.kernel.dump().page_size() as u64;
    let text =
        |out: &mut Vec<u8>, document: &_| render::zones::write_text(out, document, layout, page);
    let figures = |report: &ZonesReport, brief: &mut vmleak::analysis::brief::Brief| {
        brief.of_zones(&report.nodes);
        figures::zones(&report.nodes, page).into_iter().collect()
    };
    sections.add_drawn(topics::ZONES, of_zones, Shown { text, figures });
    sections.add(
        topics::VMALLOC,
        |session| machine::vmalloc::collected(session, modules),
        |out, document| render::vmalloc::write_text(out, document, layout),
    );
    sections.add(
        topics::KMEMLEAK,
        |session| machine::kmemleak::collected(session, modules),
        |out, document| render::kmemleak::write_text(out, document, false),
    );
    sections.add(
        topics::ALLOCINFO,
        |session| {
            let (mut report, complete) = machine::allocinfo::collected(session)?;
            report.sort_by_size();
            Ok((report, complete))
        },
        |out, document| render::allocinfo::write_text(out, document, layout, false),
    );
    sections.add(
        topics::PAGEOWNER,
        |session| pageowner::collected(session, modules),
        |out, document| render::pageowner::write_text(out, document, false),
    );
}

fn of_zones(session: &Session) -> Answer<ZonesReport> {
    let facts = session.explain(zones::collect(&session.kernel))?;
    let complete = facts.complete;
    Ok((ZonesReport::new(facts), complete))
}

/// Where it is small enough, or asked for.
fn retained(sections: &mut Sections<'_>) {
    let (args, dump) = (sections.args, sections.session.kernel.dump());
    let ram = dump.facts().ram_pages << dump.page_shift();
    let named = args.sections.contains(&topics::RETAINED.id());
    if dump.is_live() || !(args.retained || named || ram <= SMALL) {
        return;
    }
    let layout = args.format.layout();
    let memory = args.common.max_memory;
    let text =
        |out: &mut Vec<u8>, document: &_| render::retained::write_text(out, document, layout);
    let figures =
        |report: &RetainedReport, _: &mut _| figures::retained(&report.facts).into_iter().collect();
    let ask = |session: &Session| {
        let options = graph::Options {
            deadline: None,
            memory,
            list: None,
            suspects: None,
            own_pages: false,
            progress: &*session.progress,
        };
        let facts = session.explain(alive::retained(&session.kernel, &options, None))?;
        let report = RetainedReport::new(facts, TOP);
        let complete = report.is_complete();
        Ok((report, complete))
    };
    sections.add_drawn(topics::RETAINED, ask, Shown { text, figures });
}

/// Processes, their cgroups and files, and BPF.
pub(super) fn of_processes(sections: &mut Sections<'_>, modules: &Modules) {
    let layout = sections.args.format.layout();
    let text =
        |out: &mut Vec<u8>, document: &_| render::ps::write_text(out, document, layout, false);
    let figures = |report: &PsReport, brief: &mut vmleak::analysis::brief::Brief| {
        brief.of_processes(&report.processes);
        figures::processes(report).into_iter().collect()
    };
    let ask = |session: &Session| {
        let facts = session.explain(task::collect(&session.kernel))?;
        let complete = facts.complete;
        Ok((PsReport::new(facts), complete))
    };
    sections.add_drawn(topics::PS, ask, Shown { text, figures });
    sections.add(topics::MEMCG, machine::memcg::collected, |out, document| {
        render::memcg::write_text(out, document, layout)
    });
    sections.add(
        topics::FILES,
        |session| {
            let facts = session.explain(fs::collect(&session.kernel, TOP))?;
            let complete = facts.complete;
            Ok((FilesReport::new(facts), complete))
        },
        |out, document| render::files::write_text(out, document, layout),
    );
    sections.add(
        topics::BPF,
        |session| maps_and_programs(session, modules),
        |out, document| render::bpf::write_text(out, document, layout),
    );
}

fn maps_and_programs(session: &Session, modules: &Modules) -> Result<(BpfReport, bool)> {
    let kernel = &session.kernel;
    let areas = session.explain(vmalloc::collect(kernel, &Symbolizer::new(kernel, modules)))?;
    let processes = session.explain(Processes::read(kernel))?;
    let facts = session.explain(bpf::collect(kernel, &processes, Some(&areas)))?;
    let complete = facts.complete && areas.all_read;
    Ok((BpfReport::new(facts), complete))
}
