//! `nat`: translations, and the ports in use.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use vmleak::analysis::nat::{Nat, PortCounter, PortGroup};
use vmleak::analysis::nat_rules::{self, RuleCounter};
use vmleak::diag::Warning;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::conntrack::{DetailDoc, DirectionDoc, NatEntryDoc, NatReport};
use vmleak::subsys::net::conntrack::Conntrack;
use vmleak::subsys::net::conntrack::entry::Entry;
use vmleak::subsys::net::conntrack::tuple::Tuple;
use vmleak::subsys::net::rules::{self, NetnsRules};
use vmleak::subsys::net::{devices, local_ports};

use super::super::args::Common;
use super::super::conntrack_args::{NatArgs, NatFormat, Netns, Wanted};
use super::super::output::{json_lines, output};
use super::super::rules::add_rule_types;
use super::super::session::{Session, exit};
use super::{Selection, open, warn_of_losses};

/// Runs `vmleak nat`.
pub(crate) fn nat(args: &NatArgs) -> Result<ExitCode> {
    let (session, modules) = open(&args.common)?;
    let (body, complete) = translated(&session, &modules, &args.common, &args.wanted)?;
    let document = session.document(&args.common, complete, body);
    output(
        &args.common,
        args.format.reader(),
        |out, layout| match args.format {
            NatFormat::Json => render::json(out, &document),
            NatFormat::Jsonl => json_lines(out, &document.dump, &document.body.translations),
            NatFormat::Csv => render::flat::csv(
                out,
                &document.dump,
                render::flat::NAT,
                &document.body.translations,
            ),
            NatFormat::Table => render::nat::write_text(out, &document, layout, usize::MAX),
        },
    )?;
    Ok(exit(document.complete))
}

/// What a translation is told by.
struct Translating<'s> {
    conntrack: Conntrack<'s>,
    /// By namespace, as `conntrack` has them.
    devices: Vec<Devices>,
    rules: Vec<NetnsRules>,
    /// Whether these are all.
    rules_known: bool,
}

impl<'s> Translating<'s> {
    fn open<'m: 's>(session: &'s Session, modules: &'m Modules, common: &Common) -> Result<Self> {
        let kernel = &session.kernel;
        let conntrack = session.explain(Conntrack::open(kernel, &(&**kernel, modules)))?;
        let named = conntrack.namespaces().iter();
        let devices = named.map(|ns| devices::names(kernel, ns.address)).collect();
        let rules = rules_of(session, modules, common);
        if rules.is_none() {
            kernel.diag.note(
                "nat-rules-unknown",
                "which rules made the translations is not known: the types of the modules that filter are missing (`vmleak rules` says which)",
            );
        }
        let rules_known = rules.as_ref().is_some_and(|(_, whole)| *whole);
        Ok(Self {
            conntrack,
            devices,
            rules: rules.map(|(rules, _)| rules).unwrap_or_default(),
            rules_known,
        })
    }

    /// `None` of a connection that is not translated.
    fn document(&self, entry: &Entry) -> Option<NatEntryDoc> {
        let nat = Nat::of(entry);
        let is_any = !nat.kind().is_empty();
        is_any.then(|| nat_document(&self.conntrack, &self.devices, &self.rules, entry, nat))
    }
}

/// The translations of the wanted connections, and whether nothing was missing.
pub(in crate::cli) fn translated(
    session: &Session,
    modules: &Modules,
    common: &Common,
    wanted: &Wanted,
) -> Result<(NatReport, bool)> {
    let known = Translating::open(session, modules, common)?;
    let conntrack = &known.conntrack;
    let selection = Selection::new(wanted, Netns::All);
    selection.check(&session.kernel.diag, conntrack)?;
    let mut ports = PortCounter::default();
    let mut rules = RuleCounter::default();
    let mut translations = Vec::new();
    let walk = conntrack.table.walk(
        || (PortCounter::default(), RuleCounter::default(), Vec::new()),
        |(ports, rules, translations), entry| {
            // What is left of ports, and which rules are used, no filter changes.
            if !selection.netns_matches(conntrack, entry.netns) {
                return;
            }
            if let Some(document) = known.document(entry) {
                let netns = document.netns.unwrap_or(0);
                let took = PortGroup::of(entry, netns);
                if let Some((group, port)) = took {
                    ports.add(group, port);
                }
                let group = took.map(|(group, _)| group);
                rules.add(netns, &document.snat_rules, &document.dnat_rules, group);
                if selection.matches(conntrack, entry) {
                    translations.push(document);
                }
            }
        },
        |(more_ports, more_rules, documents)| {
            ports.merge(more_ports);
            rules.merge(more_rules);
            translations.extend(documents);
            ControlFlow::Continue(())
        },
    );
    let complete = warn_of_losses(session, &walk);
    ports.settle();
    let body = NatReport {
        local_port_range: session.explain(local_ports::range(&session.kernel))?,
        ports: ports.groups(),
        rules: rules.finish(&known.rules, &ports),
        rules_known: known.rules_known,
        translations,
    };
    Ok((body, complete))
}

/// Hands every translation to `add`, some at a time, and says whether nothing was missing.
pub(in crate::cli) fn each_translation(
    session: &Session,
    modules: &Modules,
    common: &Common,
    mut add: impl FnMut(Vec<NatEntryDoc>) -> io::Result<()>,
) -> Result<bool> {
    let known = Translating::open(session, modules, common)?;
    let mut written = Ok(());
    let walk = known.conntrack.table.walk(
        Vec::new,
        |translations, entry| translations.extend(known.document(entry)),
        |translations| {
            written = add(translations);
            match written.is_ok() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        },
    );
    written?;
    Ok(warn_of_losses(session, &walk))
}

/// What packets are translated by, and whether that is all; `None` without the types of its modules
/// (`vmleak rules` says which). Where memory is missing, the answer says so.
fn rules_of(
    session: &Session,
    modules: &Modules,
    common: &Common,
) -> Option<(Vec<NetnsRules>, bool)> {
    let mut asked = session.question();
    add_rule_types(&mut asked, modules, common);
    let kernel = &asked.kernel;
    let found = rules::collect(kernel, modules).ok()?;
    let untyped = |warning: &Warning| warning.code == rules::NO_TYPES;
    let losses = kernel.diag.losses();
    if losses.iter().any(untyped) {
        return None;
    }
    session.kernel.diag.absorb(&kernel.diag);
    Some((found.namespaces, losses.is_empty()))
}

/// Names by index.
type Devices = BTreeMap<u32, String>;

fn nat_document(
    conntrack: &Conntrack<'_>,
    devices: &[Devices],
    rules: &[NetnsRules],
    entry: &Entry,
    nat: Nat,
) -> NatEntryDoc {
    let [orig, reply] = &entry.tuples;
    let direction = |tuple: &Tuple| DirectionDoc {
        src: tuple.src,
        dst: tuple.dst,
        detail: DetailDoc::of(tuple),
        packets: None,
        bytes: None,
    };
    let namespace = rules.iter().find(|one| one.address == entry.net);
    let (snat_rules, dnat_rules) = match namespace {
        Some(namespace) => nat_rules::of(namespace, entry, &nat),
        None => (Vec::new(), Vec::new()),
    };
    NatEntryDoc {
        snat_rules,
        dnat_rules,
        address: entry.address,
        netns: entry
            .netns
            .and_then(|index| conntrack.namespaces().get(index))
            .map(|ns| ns.inum),
        l4proto: orig.l4name(),
        kind: nat.kind(),
        nat,
        masquerade_device: nat
            .masquerade_ifindex
            .and_then(|index| devices.get(entry.netns?)?.get(&index).cloned()),
        original: direction(orig),
        reply: direction(reply),
        timeout_seconds: entry.seconds_left,
        expired: entry.expired(),
    }
}
