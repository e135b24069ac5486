//! `export` and `schema`: everything as rows, a file per table.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use vmleak::diag::Diagnostics;
use vmleak::kernel::KernelError;
use vmleak::kernel::modules::Modules;
use vmleak::render::export::tables::{
    self, CACHES, CLUSTERS, CONNECTIONS, ClusterRow, DUMPS, DumpRow, FILES, FINDINGS, LEDGER, LOG,
    LedgerRow, PROCESSES, RULES, RuleRow, SOCKETS, SYSCTLS, TRANSLATIONS,
};
use vmleak::render::export::{Form, Table, TableSchema, TableWriter, arrow_schema, json_schema};
use vmleak::report::DumpIdentity;
use vmleak::report::pages::Division;
use vmleak::report::ps::PsReport;
use vmleak::report::rules::RulesReport;
use vmleak::subsys::net::{rules, sockets};
use vmleak::subsys::{fs as files, task};

use super::args::Common;
use super::conntrack_args::Netns;
use super::rules::add_rule_types;
use super::session::{Session, exit};
use super::wrong::wrong;
use super::{conntrack, leaks, machine, part, sysctl};

/// Of `export`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub(crate) common: Common,
    /// Form of the files
    #[arg(long, value_enum, default_value_t = ExportFormat::Parquet, help_heading = "Output")]
    pub(crate) format: ExportFormat,
    /// Only these tables: what the others need is not looked for
    #[arg(long, value_name = "TABLE,…", value_delimiter = ',', value_parser = table_names())]
    pub(crate) tables: Vec<String>,
}

const EXAMPLE: &str = "\
Examples:
  vmleak export -o rows/node17 vmcore vmlinux
  vmleak export --format jsonl --tables findings,caches -o rows/node17 vmcore
  duckdb -c \"SELECT fingerprint, count(DISTINCT host) FROM 'rows/*/findings.parquet' GROUP BY ALL\"";

/// Forms of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Apache Parquet
    Parquet,
    /// A JSON object a line
    Jsonl,
    /// A row a line, with a head
    Csv,
}

/// Of `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Only these tables
    #[arg(value_name = "TABLE", value_parser = table_names())]
    pub(crate) tables: Vec<String>,
    /// Arrow's schema, as the files of Parquet have it, in place of JSON Schema
    #[arg(long)]
    pub(crate) arrow: bool,
}

fn table_names() -> Vec<&'static str> {
    tables::all().iter().map(|table| table.name).collect()
}

/// Runs `vmleak schema`.
pub(crate) fn schema(args: &SchemaArgs) -> Result<ExitCode> {
    let mut wanted = tables::all();
    wanted.retain(|table| {
        args.tables.is_empty() || args.tables.iter().any(|name| name == table.name)
    });
    let made: fn(&[TableSchema]) -> serde_json::Value = match args.arrow {
        true => arrow_schema,
        false => json_schema,
    };
    let text = serde_json::to_string_pretty(&made(&wanted))?;
    anstream::println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// A file under its final name is a whole one: until then it is called so.
const PART: &str = ".part";

/// What is written where, and what came of it.
struct Export<'a> {
    args: &'a ExportArgs,
    session: &'a Session,
    dump: DumpIdentity,
    folder: PathBuf,
    form: Form,
    incomplete: BTreeSet<&'static str>,
    absent: BTreeSet<&'static str>,
    written: Vec<(&'static str, u64, PathBuf)>,
    /// What was said for each table: none is blamed for another.
    heard: Vec<Arc<Diagnostics>>,
}

type Writer<R> = TableWriter<R, BufWriter<File>>;

/// Runs `vmleak export`.
pub(crate) fn export(args: &ExportArgs) -> Result<ExitCode> {
    let Some(folder) = args.common.output.clone() else {
        return Err(wrong(
            "no folder to write the tables to: name one with -o DIR",
        ));
    };
    let session = Session::open(&args.common)?;
    fs::create_dir_all(&folder).with_context(|| {
        let folder = folder.display();
        format!("{folder}: can't make the folder; name another one with -o")
    })?;
    let form = match args.format {
        ExportFormat::Parquet => Form::Parquet,
        ExportFormat::Jsonl => Form::Jsonl,
        ExportFormat::Csv => Form::Csv,
    };
    let mut export = Export {
        args,
        session: &session,
        dump: session.identity(),
        folder,
        form,
        incomplete: BTreeSet::new(),
        absent: BTreeSet::new(),
        written: Vec::new(),
        heard: Vec::new(),
    };
    export.of_leaks()?;
    export.of_memory()?;
    let modules = Modules::read(&session.kernel)?;
    export.of_connections(&modules)?;
    export.of_network(&modules)?;
    export.of_kernel(&modules)?;
    export.of_dump()?;
    let complete = export.incomplete.is_empty();
    for (table, rows, path) in &export.written {
        anstream::println!("{rows:>10} {table:<13} {}", path.display());
    }
    for heard in &export.heard {
        session.kernel.diag.absorb(heard);
    }
    let document = session.document(&args.common, complete, ());
    Ok(exit(document.complete))
}

/// The command that a table is of, as a bundle holds it.
fn part_of(table: &str) -> &'static str {
    match table {
        "dumps" => "info",
        "processes" => "ps",
        "files" => "files",
        "connections" => "conntrack",
        "translations" => "nat",
        "sockets" => "sockets",
        "rules" => "rules",
        "sysctls" => "sysctl",
        "log" => "log",
        // Those that need the search.
        _ => "leaks",
    }
}

impl Export<'_> {
    fn wants<R>(&self, table: &Table<R>) -> bool {
        let mut asked = self.args.tables.iter();
        self.args.tables.is_empty() || asked.any(|name| name == table.name)
    }

    /// Writes a table, if it is wanted, of what `fill` finds to a question of its own. What can't
    /// be had takes nothing from the others: then there is no file.
    fn write<R>(
        &mut self,
        table: &'static Table<R>,
        fill: impl FnOnce(&mut Session, &mut Writer<R>) -> Result<bool>,
    ) -> Result<()> {
        if !self.wants(table) {
            return Ok(());
        }
        let held = part::held_in(self.session.kernel.dump(), part_of(table.name));
        if let Err(error) = held {
            self.lacks(table.name, &error.into());
            return Ok(());
        }
        let mut asked = self.session.question();
        let file = format!("{}.{}", table.name, self.form.extension());
        let path = self.folder.join(&file);
        let part = self.folder.join(format!(".{file}{PART}"));
        let filled = self.filled(table, &part, |writer| fill(&mut asked, writer));
        self.heard.push(Arc::clone(&asked.kernel.diag));
        let lost = asked.kernel.diag.has_loss();
        match filled {
            Ok((rows, complete)) => {
                if !complete || lost {
                    self.incomplete.insert(table.name);
                }
                fs::rename(&part, &path).with_context(|| path.display().to_string())?;
                self.written.push((table.name, rows, path));
            }
            Err(error) => {
                let _ = fs::remove_file(&part);
                if error.downcast_ref::<io::Error>().is_some() {
                    let path = path.display();
                    return Err(error.context(format!("{path}: can't be written to its end")));
                }
                self.lacks(table.name, &error);
            }
        }
        Ok(())
    }

    fn filled<R>(
        &self,
        table: &'static Table<R>,
        part: &Path,
        fill: impl FnOnce(&mut Writer<R>) -> Result<bool>,
    ) -> Result<(u64, bool)> {
        let out = BufWriter::new(File::create(part)?);
        let mut writer = TableWriter::new(table, self.form, &self.dump, out)?;
        let complete = fill(&mut writer)?;
        Ok((writer.finish()?, complete))
    }

    /// A table that can't be told. What a kernel does not have is not missing.
    fn lacks(&mut self, table: &'static str, error: &anyhow::Error) {
        let diag = Diagnostics::default();
        self.absent.insert(table);
        let why = error.downcast_ref::<KernelError>();
        let message = format!("no table {table}: {error:#}");
        if matches!(why, Some(KernelError::Unsupported(_))) {
            diag.note("table-absent", message);
        } else {
            self.incomplete.insert(table);
            diag.warn("table-absent", message);
        }
        self.heard.push(Arc::new(diag));
    }

    fn of_leaks(&mut self) -> Result<()> {
        if !(self.wants(&CACHES) || self.wants(&FINDINGS) || self.wants(&CLUSTERS)) {
            return Ok(());
        }
        let asked = self.session.question();
        let judged = leaks::judged(&asked, self.args.common.max_memory, None, false);
        self.heard.push(Arc::clone(&asked.kernel.diag));
        let lost = asked.kernel.diag.has_loss();
        let (report, complete) = match judged {
            Ok(judged) => (judged.report, judged.complete),
            Err(error) => {
                for table in [CACHES.name, FINDINGS.name, CLUSTERS.name] {
                    self.lacks(table, &error);
                }
                return Ok(());
            }
        };
        let complete = complete && !lost;
        self.write(&CLUSTERS, |_, out| {
            out.add(ClusterRow::of(&report))?;
            Ok(complete)
        })?;
        self.write(&FINDINGS, |_, out| {
            out.add(report.findings)?;
            Ok(complete)
        })?;
        self.write(&CACHES, |_, out| {
            out.add(report.caches)?;
            Ok(complete)
        })
    }

    fn of_memory(&mut self) -> Result<()> {
        let memory = self.args.common.max_memory;
        self.write(&LEDGER, |session, out| {
            let (report, complete) = machine::pages::collected(session, memory, Division::Zone)?;
            out.add(LedgerRow::of(&report))?;
            Ok(complete)
        })?;
        self.write(&PROCESSES, |session, out| {
            let facts = session.explain(task::collect(&session.kernel))?;
            let complete = facts.complete;
            out.add(PsReport::new(facts).processes)?;
            Ok(complete)
        })?;
        self.write(&FILES, |session, out| {
            let facts = session.explain(files::collect(&session.kernel, usize::MAX))?;
            out.add(facts.files)?;
            Ok(facts.complete)
        })
    }

    fn of_connections(&mut self, modules: &Modules) -> Result<()> {
        let common = &self.args.common;
        self.write(&CONNECTIONS, |session, out| {
            conntrack::add_own_types(session, modules, common)?;
            conntrack::each_entry(session, modules, |entries| out.add(entries))
        })?;
        self.write(&TRANSLATIONS, |session, out| {
            conntrack::add_own_types(session, modules, common)?;
            conntrack::each_translation(session, modules, common, |some| out.add(some))
        })
    }

    fn of_network(&mut self, modules: &Modules) -> Result<()> {
        self.write(&SOCKETS, |session, out| {
            let facts = session.explain(sockets::collect(&session.kernel))?;
            out.add(facts.sockets)?;
            Ok(facts.complete)
        })?;
        let common = &self.args.common;
        self.write(&RULES, |session, out| {
            add_rule_types(session, modules, common);
            let facts = session.explain(rules::collect(&session.kernel, modules))?;
            out.add(RuleRow::of(&RulesReport::new(facts)))?;
            Ok(true)
        })
    }

    fn of_kernel(&mut self, modules: &Modules) -> Result<()> {
        self.write(&SYSCTLS, |session, out| {
            let facts = sysctl::collect(session, modules, &|_| true, Netns::All)?;
            out.add(facts.entries)?;
            Ok(facts.complete)
        })?;
        self.write(&LOG, |session, out| {
            let (records, complete) = machine::log::records(session)?;
            out.add(records)?;
            Ok(complete)
        })
    }

    /// Last, as it says what came of the others.
    fn of_dump(&mut self) -> Result<()> {
        let names =
            |tables: &BTreeSet<&str>| tables.iter().map(|name| (*name).to_owned()).collect();
        let row = DumpRow {
            identity: self.dump.clone(),
            incomplete_tables: names(&self.incomplete),
            absent_tables: names(&self.absent),
        };
        self.write(&DUMPS, |_, out| {
            out.add([row])?;
            Ok(true)
        })
    }
}
