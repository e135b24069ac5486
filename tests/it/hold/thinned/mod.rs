//! Dumps with pages left out: what a missing page can change is said.
//!
//! The judge of every command. From a whole dump some pages are left out; every command must
//! then give what it gave for the whole dump, or say that its answer is incomplete. While the
//! search calls itself reliable, nothing may be unreachable that was not before. Pages are also
//! overwritten with zeros, which can't be told from real ones: then nothing may be called a leak
//! that was none. CI thins the
//! small dump some times; `VMLEAK_THINNED=N` thins it and each real dump N times
//! (scripts/metamorphic), and prints what it did. `VMLEAK_THINNED_KEEP=DIR` keeps there each dump
//! that something was wrong with.

mod choice;
pub(crate) mod kdump;
mod rule;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::support::{RealDump, real_dumps, run, small_dump};
use choice::{Choice, Choices};
use kdump::Whole;

/// How often the small dump is thinned where nothing else is said.
const IN_CI: usize = 10;

/// Every command that answers from memory; `OBJECT` is an object of the whole dump.
const COMMANDS: &[&[&str]] = &[
    &["info"],
    &["slabs"],
    &["objects", "kmalloc-256"],
    &["objects", "kmalloc-256", "--unreachable"],
    &["leaks"],
    &["whatis", "OBJECT"],
    &["whatis", "OBJECT", "--path"],
    &["retained"],
    &["conntrack", "--netns", "all"],
    &["conntrack", "--summary"],
    &["conntrack", "--expect"],
    &["conntrack", "--stats"],
    &["nat"],
    &["meminfo"],
    &["log"],
    &["vmalloc"],
    &["modules"],
    &["sysctl"],
    &["sysctl", "--check"],
    &["memcg"],
    &["kmemleak"],
    &["allocinfo"],
    &["pageowner"],
    &["ps"],
    &["zones"],
    &["files"],
    &["dentries"],
    &["pages"],
    &["bpf"],
    &["sockets"],
    &["sockets", "--skbs"],
    &["net"],
    &["rules"],
    &["report"],
];

/// What one command answers.
struct Answer {
    code: i32,
    /// `None` where it says why it can't answer, in one line.
    document: Option<Value>,
}

fn answer(dump: &Path, vmlinux: &Path, command: &[&str]) -> Answer {
    let mut args: Vec<&str> = command.to_vec();
    let files = [dump, vmlinux].map(|path| path.to_str().expect("a path"));
    args.extend(files);
    args.extend(["--format", "json", "-q"]);
    let (code, stdout, stderr) = run(&args);
    let document = serde_json::from_str(&stdout).ok();
    if document.is_none() {
        assert_eq!(
            stderr.lines().count(),
            1,
            "{command:?}: exit {code}, {stderr}"
        );
    }
    Answer { code, document }
}

/// A dump, and what each command says of it.
struct Subject {
    dump: RealDump,
    whole: Whole,
    object: String,
    answers: Vec<Answer>,
}

impl Subject {
    fn new(dump: RealDump) -> Self {
        let objects = answer(&dump.vmcore, &dump.vmlinux, &["objects", "kmalloc-256"]);
        let objects = objects.document.expect("the whole dump has objects");
        let address = objects["objects"][0]["address"].as_str();
        let object = address.expect("an address").to_owned();
        let said = |command: &&[&str]| answer(&dump.vmcore, &dump.vmlinux, &with(command, &object));
        let answers = COMMANDS.iter().map(said).collect();
        Self {
            whole: Whole::read(&dump.vmcore),
            object,
            answers,
            dump,
        }
    }

    /// What `leaks` newly calls a leak where the pages of `choice` are zeros.
    fn judge_zeroed(&self, choice: &Choice, path: &Path) -> Vec<String> {
        self.whole.write_with_zeros(&choice.pages, path);
        let mut searches = COMMANDS.iter().zip(&self.answers);
        let search = searches.find(|(command, _)| **command == ["leaks"]);
        let (command, before) = search.expect("leaks is among them");
        let after = answer(path, &self.dump.vmlinux, command);
        let name = &self.dump.name;
        let faults = rule::new_leaks(before, &after).into_iter();
        faults
            .map(|fault| format!("{name} with zeros in {choice}: {fault}"))
            .collect()
    }

    /// What is wrong with what the commands say without the pages of `choice`.
    fn judge(&self, choice: &Choice, path: &Path) -> Vec<String> {
        self.whole.write_without(&choice.pages, path);
        let mut wrong = Vec::new();
        for (command, before) in COMMANDS.iter().zip(&self.answers) {
            let command = with(command, &self.object);
            let after = answer(path, &self.dump.vmlinux, &command);
            for fault in rule::faults(before, &after) {
                wrong.push(format!(
                    "{} without {choice}: {}: {fault}",
                    self.dump.name,
                    command.join(" ")
                ));
            }
        }
        wrong
    }
}

fn with<'a>(command: &[&'a str], object: &'a str) -> Vec<&'a str> {
    let filled = command.iter().map(|word| match *word {
        "OBJECT" => object,
        word => word,
    });
    filled.collect()
}

/// Thins the dump as `choices` say, with two at a time, and gives all that was wrong.
fn thin(subject: &Subject, choices: &[Choice]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for worker in 0..2 {
            let path: PathBuf = folder.path().join(format!("vmcore.{worker}"));
            let (next, wrong) = (&next, &wrong);
            scope.spawn(move || {
                while let Some(choice) = choices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut found = subject.judge(choice, &path);
                    keep(&found, &path, "without", choice);
                    let leaks = subject.judge_zeroed(choice, &path);
                    keep(&leaks, &path, "zeros", choice);
                    found.extend(leaks);
                    let mut all = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                    all.extend(found);
                }
            });
        }
    });
    wrong.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a dump that something was wrong with, for whoever asks for it.
fn keep(found: &[String], path: &Path, how: &str, choice: &Choice) {
    let Some(folder) = std::env::var_os("VMLEAK_THINNED_KEEP") else {
        return;
    };
    if !found.is_empty() {
        let first = choice.pages.iter().next().copied().unwrap_or_default();
        let kept = Path::new(&folder).join(format!("vmcore-{how}-{first:x}"));
        std::fs::copy(path, &kept).expect("a copy");
        println!("{}: {}", kept.display(), found.join("; "));
    }
}

#[test]
fn what_a_missing_page_changes_is_said() {
    let asked = std::env::var("VMLEAK_THINNED").ok();
    let asked = asked.map(|text| text.parse().expect("a number in VMLEAK_THINNED"));
    let mut dumps = vec![small_dump()];
    if asked.is_some() {
        dumps.extend(real_dumps(&["5.10", "6.1", "6.12", "7.2", "6.12-arm64"]));
    }
    if let Ok(only) = std::env::var("VMLEAK_THINNED_ONLY") {
        dumps.retain(|dump| dump.name.contains(&only));
    }
    let mut wrong = Vec::new();
    for dump in dumps {
        let choices = Choices::of(&dump);
        let subject = Subject::new(dump);
        let chosen = choices.take(&subject.whole, asked.unwrap_or(IN_CI));
        let found = thin(&subject, &chosen);
        if asked.is_some() {
            println!(
                "{}: thinned {} times, {} commands each, {} wrong",
                subject.dump.name,
                chosen.len(),
                COMMANDS.len(),
                found.len()
            );
        }
        wrong.extend(found);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
