//! `rules`: what packets are filtered and translated by.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use vmleak::kernel::asked;
use vmleak::kernel::modules::Modules;
use vmleak::render;
use vmleak::render::export::tables::RuleRow;
use vmleak::report::rules::RulesReport;
use vmleak::subsys::net::rules::nft::Family;
use vmleak::subsys::net::rules::{self, RuleFacts};

use super::args::Common;
use super::conntrack_args::Netns;
use super::output::{Reader, json_lines, output};
use super::session::{Session, exit};
use super::wrong::{known_netns, nothing_so};

/// Of `rules`.
#[derive(Debug, Args)]
pub(crate) struct RulesArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = RulesFormat::Table, help_heading = "Output")]
    pub(crate) format: RulesFormat,
    /// Only this network namespace: initial, all, or its number (all by default; the forms of other
    /// programs show the initial one)
    #[arg(long, value_name = "initial|all|NUMBER")]
    pub(crate) netns: Option<Netns>,
    /// Only tables of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
}

/// Formats of `rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One rule a line
    Jsonl,
    /// One rule a row
    Csv,
    /// As `nft -a list ruleset`
    Nft,
    /// As `nft --debug=netlink list ruleset`: every expression, nothing guessed
    Netlink,
    /// As `iptables-save -c`
    IptablesSave,
    /// As `ip6tables-save -c`
    Ip6tablesSave,
    /// As `iptables-nft-save -c`: tables of nf_tables that iptables-nft made
    IptablesNftSave,
    /// As `ip6tables-nft-save -c`
    Ip6tablesNftSave,
    /// As `arptables-save -c`
    ArptablesSave,
    /// As `ebtables-save` (ebtables-legacy), which prints no counters
    EbtablesSave,
    /// As `ipset save`
    IpsetSave,
}

/// Runs `vmleak rules`.
pub(crate) fn rules(args: &RulesArgs) -> Result<ExitCode> {
    let mut session = Session::open(&args.common)?;
    let modules = Modules::read(&session.kernel)?;
    add_rule_types(&mut session, &modules, &args.common);
    let mut facts = session.explain(rules::collect(&session.kernel, &modules))?;
    choose(args, &session, &mut facts)?;
    if let Some((family, other)) = of_other_filter(args.format, &facts) {
        let text = format!(
            "of {family} there are rules of {other} beside, which this form does not show: `vmleak rules` shows all"
        );
        session.kernel.diag.note("other-filter", text);
    }
    let complete = !session.kernel.diag.has_loss();
    let document = session.document(&args.common, complete, RulesReport::new(facts));
    let reader = match args.format {
        RulesFormat::Table => Reader::Person,
        _ => Reader::Program,
    };
    output(&args.common, reader, |out, layout| match args.format {
        RulesFormat::Json => render::json(out, &document),
        RulesFormat::Jsonl => json_lines(out, &document.dump, &RuleRow::of(&document.body)),
        RulesFormat::Csv => render::flat::csv(
            out,
            &document.dump,
            render::flat::RULES,
            &RuleRow::of(&document.body),
        ),
        RulesFormat::Netlink => render::rules::write_netlink(out, &document.body),
        RulesFormat::Nft => render::rules::write_nft(out, &document.body),
        RulesFormat::IptablesSave => render::rules::write_iptables(out, &document.body, 2),
        RulesFormat::Ip6tablesSave => render::rules::write_iptables(out, &document.body, 10),
        RulesFormat::IptablesNftSave => render::rules::write_iptables_nft(out, &document.body, 2),
        RulesFormat::Ip6tablesNftSave => render::rules::write_iptables_nft(out, &document.body, 10),
        RulesFormat::ArptablesSave => render::rules::write_iptables(out, &document.body, 3),
        RulesFormat::EbtablesSave => render::rules::write_ebtables(out, &document.body),
        RulesFormat::IpsetSave => render::rules::write_ipset(out, &document.body),
        RulesFormat::Table => render::rules::write_text(out, &document, layout),
    })?;
    Ok(exit(document.complete))
}

/// The family that a form of x_tables shows, if nf_tables has rules of it too, or the other way
/// round, with that filter's name.
fn of_other_filter(format: RulesFormat, facts: &RuleFacts) -> Option<(&'static str, &'static str)> {
    let (number, by_nft) = match format {
        RulesFormat::IptablesSave => (2, false),
        RulesFormat::Ip6tablesSave => (10, false),
        RulesFormat::ArptablesSave => (3, false),
        RulesFormat::EbtablesSave => (7, false),
        RulesFormat::IptablesNftSave => (2, true),
        RulesFormat::Ip6tablesNftSave => (10, true),
        _ => return None,
    };
    let mut all = facts.namespaces.iter();
    let (is_there, other) = match by_nft {
        true => (
            all.any(|ns| ns.x_tables.iter().any(|table| table.family.0 == number)),
            "x_tables",
        ),
        false => (
            all.any(|ns| ns.nf_tables.iter().any(|table| table.family.0 == number)),
            "nf_tables",
        ),
    };
    is_there.then(|| (Family(number).name(), other))
}

/// Adds the types of the modules that filter. Of those that can't be had, what needs them is shown
/// as bytes.
pub(super) fn add_rule_types(session: &mut Session, modules: &Modules, common: &Common) {
    let wanted = asked::RULE_MODULES
        .iter()
        .filter(|name| modules.find(name).is_some());
    let wanted: Vec<&str> = wanted.copied().collect();
    for name in wanted {
        if let Err(error) = session.add_module_types(modules, common, &[name]) {
            session
                .kernel
                .diag
                .warn("rule-module", format!("{error:#}"));
        }
    }
}

/// Leaves out what was not asked for.
fn choose(args: &RulesArgs, session: &Session, facts: &mut RuleFacts) -> Result<()> {
    let default = match args.format {
        RulesFormat::Table | RulesFormat::Json | RulesFormat::Jsonl | RulesFormat::Csv => {
            Netns::All
        }
        _ => Netns::Initial,
    };
    if let Some(Netns::Inum(inum)) = args.netns {
        let all = facts.namespaces.iter().map(|ns| ns.netns);
        known_netns(&session.kernel.diag, inum, all)?;
    }
    facts
        .namespaces
        .retain(|ns| match args.netns.unwrap_or(default) {
            Netns::All => true,
            Netns::Initial => ns.initial,
            Netns::Inum(inum) => ns.netns == inum,
        });
    if let Some(name) = &args.table {
        let mut all = facts.namespaces.iter();
        let is_there = all.any(|ns| {
            let mut nf_tables = ns.nf_tables.iter();
            nf_tables.any(|table| table.name == *name)
                || ns.x_tables.iter().any(|table| table.name == *name)
        });
        if !is_there {
            let message = format!("no table is called {name:?}");
            return Err(nothing_so(&session.kernel.diag, message));
        }
        for namespace in &mut facts.namespaces {
            namespace.nf_tables.retain(|table| table.name == *name);
            namespace.x_tables.retain(|table| table.name == *name);
        }
    }
    Ok(())
}
