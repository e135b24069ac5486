//! `nat`: translations, and the ports in use.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::Result;
use vmleak::analysis::nat::{Nat, PortCounter};
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::report::conntrack::{DetailDoc, DirectionDoc, NatEntryDoc, NatReport};
use vmleak::subsys::net::conntrack::Conntrack;
use vmleak::subsys::net::conntrack::entry::Entry;
use vmleak::subsys::net::conntrack::tuple::Tuple;
use vmleak::subsys::net::{devices, local_ports};

use super::super::conntrack_args::{NatArgs, NatFormat, Netns, Wanted};
use super::super::session::{Session, exit, json_lines, output};
use super::{Selection, open, warn_of_losses};

/// Runs `vmleak nat`.
pub(crate) fn nat(args: &NatArgs) -> Result<ExitCode> {
    let (session, modules) = open(&args.common)?;
    let (body, complete) = translated(&session, &modules, &args.wanted)?;
    let document = session.document(&args.common, complete, body);
    output(
        &args.common,
        args.format.reader(),
        |out, layout| match args.format {
            NatFormat::Json => render::json(out, &document),
            NatFormat::Jsonl => json_lines(out, &document.dump, &document.body.translations),
            NatFormat::Table => render::nat::write_text(out, &document, layout, usize::MAX),
        },
    )?;
    Ok(exit(document.complete))
}

/// The translations of the wanted connections, and whether nothing was missing.
pub(in crate::cli) fn translated(
    session: &Session,
    modules: &Modules,
    wanted: &Wanted,
) -> Result<(NatReport, bool)> {
    let kernel = &session.kernel;
    let symbols = (&**kernel, modules);
    let conntrack = session.explain(Conntrack::open(kernel, &symbols))?;
    let selection = Selection::new(wanted, Netns::All);
    selection.check(&session.kernel.diag, &conntrack)?;
    let named = conntrack.namespaces().iter();
    let devices: Vec<Devices> = named.map(|ns| devices::names(kernel, ns.address)).collect();
    let mut ports = PortCounter::default();
    let mut translations = Vec::new();
    let walk = conntrack.table.walk(
        || (PortCounter::default(), Vec::new()),
        |(ports, translations), entry| {
            let nat = Nat::of(entry);
            if nat.kind().is_empty() || !selection.matches(&conntrack, entry) {
                return;
            }
            let document = nat_document(&conntrack, &devices, entry, nat);
            ports.add(entry, document.netns.unwrap_or(0));
            translations.push(document);
        },
        |(more, documents)| {
            ports.merge(more);
            translations.extend(documents);
            ControlFlow::Continue(())
        },
    );
    let complete = warn_of_losses(session, &walk);
    let body = NatReport {
        local_port_range: session.explain(local_ports::range(kernel))?,
        ports: ports.finish(),
        translations,
    };
    Ok((body, complete))
}

/// Names by index.
type Devices = BTreeMap<u32, String>;

fn nat_document(
    conntrack: &Conntrack<'_>,
    devices: &[Devices],
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
    NatEntryDoc {
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
