//! The network: connections, translations, sockets, interfaces and rules.

use std::cell::OnceCell;

use anyhow::{Result, anyhow};
use vmleak::analysis::brief::Brief;
use vmleak::kernel::modules::Modules;
use vmleak::kernel::symbolize::Symbolizer;
use vmleak::render;
use vmleak::report::conntrack::{NatReport, SummaryReport};
use vmleak::report::figures;
use vmleak::report::net::NetReport;
use vmleak::report::rules::RulesReport;
use vmleak::report::sockets::SocketsReport;
use vmleak::subsys::net::sockets::SocketsFacts;
use vmleak::subsys::net::{interfaces, page_pools, rules, sockets};

use super::super::conntrack::{self, Allocated};
use super::super::conntrack_args::Wanted;
use super::super::session::Session;
use super::sections::{Sections, Shown};
use super::{add_rule_types, topics};

/// Translations and sockets that a page shows: the first ones, and those with the most memory.
const TRANSLATIONS: usize = 200;
const SOCKETS: usize = 20;

/// `typed` says whether the types of connections are known.
pub(super) fn add(
    sections: &mut Sections<'_>,
    modules: &Modules,
    typed: &Result<()>,
    allocated: Option<Allocated>,
) {
    let layout = sections.args.format.layout();
    let common = &sections.args.common;
    let typed = || match typed {
        Ok(()) => Ok(()),
        Err(why) => Err(anyhow!("{why:#}")),
    };
    let text =
        |out: &mut Vec<u8>, document: &_| render::conntrack::write_summary(out, document, layout);
    let drawn = |report: &SummaryReport, brief: &mut Brief| {
        brief.of_connections(&report.fullness);
        figures::connections(&report.summary)
    };
    let ask = |session: &Session| {
        typed().and_then(|()| conntrack::summarised(session, modules, allocated))
    };
    let figures = drawn;
    sections.add_drawn(topics::CONNTRACK, ask, Shown { text, figures });
    let text = |out: &mut Vec<u8>, document: &_| {
        render::nat::write_text(out, document, layout, TRANSLATIONS)
    };
    let figures =
        |report: &NatReport, _: &mut Brief| figures::ports(&report.ports).into_iter().collect();
    let ask = |session: &Session| {
        typed()?;
        conntrack::translated(session, modules, common, &Wanted::default())
    };
    sections.add_drawn(topics::NAT, ask, Shown { text, figures });
    of_sockets(sections, modules);
    of_rules(sections, modules);
}

/// Sockets, and the namespaces that they keep: read once for both.
fn of_sockets(sections: &mut Sections<'_>, modules: &Modules) {
    let layout = sections.args.format.layout();
    let page = sections.session.kernel.dump().page_size() as u64;
    let known: OnceCell<SocketsFacts> = OnceCell::new();
    let read = |session: &Session| -> Result<SocketsFacts> {
        match known.get() {
            Some(facts) => Ok(facts.clone()),
            None => {
                let facts = session.explain(sockets::collect(&session.kernel))?;
                Ok(known.get_or_init(|| facts).clone())
            }
        }
    };
    let text = |out: &mut Vec<u8>, document: &_| {
        render::sockets::write_text(out, document, layout, SOCKETS, page)
    };
    let figures = |report: &SocketsReport, brief: &mut Brief| {
        brief.of_sockets(&report.summary.reached);
        figures::sockets(&report.summary).into_iter().collect()
    };
    let ask = |session: &Session| {
        let facts = read(session)?;
        let complete = facts.complete;
        Ok((SocketsReport::new(facts, page, |_| true), complete))
    };
    sections.add_drawn(topics::SOCKETS, ask, Shown { text, figures });
    sections.add(
        topics::NET,
        |session| {
            let mut facts = session.explain(interfaces::collect(&session.kernel))?;
            let names = Symbolizer::new(&session.kernel, modules);
            facts.name_polls(&|at| names.print(at));
            let sockets = read(session)?;
            let pools = session.explain(page_pools::collect(&session.kernel))?;
            let complete = facts.complete && sockets.complete && pools.complete;
            let report = NetReport::new(facts, &sockets.sockets);
            Ok((report.with_page_pools(pools.pools), complete))
        },
        |out, document| render::net::write_text(out, document, layout),
    );
}

fn of_rules(sections: &mut Sections<'_>, modules: &Modules) {
    let layout = sections.args.format.layout();
    if !sections.wants(topics::RULES) {
        return;
    }
    let mut asked = sections.session.question();
    add_rule_types(&mut asked, modules, &sections.args.common);
    let found = asked.explain(rules::collect(&asked.kernel, modules));
    let losses = asked.kernel.diag.losses();
    // What the debug file does not tell is no fault of the dump.
    let untyped = losses.iter().find(|loss| loss.code == rules::NO_TYPES);
    let answer = match untyped {
        Some(untyped) => {
            asked = sections.session.question();
            Err(anyhow!("{}", untyped.message))
        }
        None => found.map(|facts| (RulesReport::new(facts), true)),
    };
    let text = |out: &mut Vec<u8>, document: &_| render::rules::write_text(out, document, layout);
    let figures = |_: &_, _: &mut _| Vec::new();
    sections.tell(topics::RULES, &asked, answer, Shown { text, figures });
}
