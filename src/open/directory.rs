//! Which dump of a directory such as /var/crash is meant: the newest one that is whole.
//!
//! kdump-tools and kdump-utils make a directory per crash, so that one level down is looked at
//! too. Of a split set all parts are taken.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Options;
use crate::dump::{self, Dump, DumpError};

/// The dump that was chosen.
#[derive(Debug)]
pub(super) struct Taken {
    /// One file, or the parts of a split set.
    pub(super) files: Vec<PathBuf>,
    /// Which it is and what was passed over, for people.
    pub(super) note: String,
}

/// A file that is called and begins like a dump.
#[derive(Clone, Debug)]
struct Candidate {
    modified: SystemTime,
    path: PathBuf,
    /// Its writer says by its name that it did not come to an end.
    unfinished: bool,
}

/// The newest complete dump in `directory`.
pub(super) fn newest_complete(directory: &Path, options: &Options) -> Result<Taken, DumpError> {
    let mut candidates = candidates(directory)?;
    candidates.sort_by(|a, b| (b.modified, &a.path).cmp(&(a.modified, &b.path)));
    let mut passed_over: Option<String> = None;
    for candidate in &candidates {
        match whole(candidate, &candidates, options) {
            Ok(files) => {
                let path = candidate.path.display();
                let mut note = format!(
                    "{path} was taken, the newest complete dump in {}",
                    directory.display()
                );
                if let Some(other) = passed_over {
                    note += &format!("; a newer one is not: {other}");
                }
                return Ok(Taken { files, note });
            }
            Err(why) => {
                let path = candidate.path.display();
                passed_over.get_or_insert_with(|| format!("{path} {why}"));
            }
        }
    }
    Err(DumpError::NoDumpInDirectory {
        path: directory.to_owned(),
        hint: passed_over
            .map(|other| format!("; {other}: name it to analyse what it holds"))
            .unwrap_or_else(|| "; name the file of the dump itself".to_owned()),
    })
}

/// The files of the dump, or why it is not complete.
fn whole(
    candidate: &Candidate,
    all: &[Candidate],
    options: &Options,
) -> Result<Vec<PathBuf>, String> {
    if candidate.unfinished {
        return Err("is incomplete".to_owned());
    }
    let alone = vec![candidate.path.clone()];
    let why = match state(&alone, options) {
        Ok(()) => return Ok(alone),
        Err(why) => why,
    };
    let beside = |other: &&Candidate| other.path.parent() == candidate.path.parent();
    let set: Vec<PathBuf> = all
        .iter()
        .filter(beside)
        .map(|other| other.path.clone())
        .collect();
    match set.len() > 1 && state(&set, options).is_ok() {
        true => Ok(set),
        false => Err(why),
    }
}

fn state(files: &[PathBuf], options: &Options) -> Result<(), String> {
    let dump = Dump::open_with(files, 0, options.access())
        .map_err(|error| format!("can't be opened ({error})"))?;
    let facts = dump.facts();
    match (facts.missing_pages, facts.incomplete) {
        (0, false) => Ok(()),
        (0, true) => Err("is incomplete".to_owned()),
        (missing, _) => Err(format!(
            "is cut short, {missing} of {} pages lie beyond its end",
            facts.dumped_pages
        )),
    }
}

fn candidates(directory: &Path) -> Result<Vec<Candidate>, DumpError> {
    let mut found = Vec::new();
    for path in files_below(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let named_as_dump = name.starts_with("vmcore") || name.starts_with("dump");
        let unfinished = name.contains("incomplete");
        let Ok(meta) = path.metadata() else { continue };
        let is_dump = || unfinished || dump::looks_like_dump(&path);
        if named_as_dump && meta.is_file() && is_dump() {
            found.push(Candidate {
                modified: meta.modified().unwrap_or(UNIX_EPOCH),
                unfinished,
                path,
            });
        }
    }
    Ok(found)
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>, DumpError> {
    let list = |dir: &Path| {
        std::fs::read_dir(dir)
            .map(|entries| entries.flatten().map(|e| e.path()).collect::<Vec<_>>())
    };
    let top = list(directory).map_err(|error| DumpError::Io {
        path: directory.to_owned(),
        error,
    })?;
    let mut all = Vec::new();
    for path in top {
        if path.is_dir() {
            all.extend(list(&path).unwrap_or_default());
        } else {
            all.push(path);
        }
    }
    Ok(all)
}
