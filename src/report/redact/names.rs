//! Which names there are, and what stands in for each.

use std::collections::BTreeMap;

use super::Kind;

/// Directories that say nothing of a machine, for most have them.
const OF_ALL: [&str; 26] = [
    "/",
    "/boot",
    "/dev",
    "/dev/hugepages",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc",
    "/home",
    "/init",
    "/lib",
    "/proc",
    "/proc/sys/fs/binfmt_misc",
    "/root",
    "/run",
    "/run/lock",
    "/sys",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/pstore",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/tracing",
    "/tmp",
    "/var",
];

/// What begins so in a text of vmleak is the kernel's own, but for what users make there.
const OWN: [&str; 2] = ["/proc/", "/sys/"];
const MADE: [&str; 2] = ["/sys/fs/cgroup/", "/sys/fs/bpf/"];

/// Whether that path says nothing of a machine.
pub(super) fn is_of_all_machines(path: &str) -> bool {
    path.is_empty() || OF_ALL.contains(&path)
}

/// Whether a path in a text is the kernel's own.
fn is_own(path: &str) -> bool {
    let begins = |with: &[&str]| with.iter().any(|with| path.starts_with(with));
    is_of_all_machines(path) || begins(&OWN) && !begins(&MADE)
}

/// What stands in for which name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_kind: BTreeMap<Kind, BTreeMap<String, String>>,
    /// Those that are found in texts as words.
    words: BTreeMap<String, String>,
    /// Files named on the command line, the longest first.
    arguments: Vec<(String, String)>,
}

impl Names {
    /// The stand-in for a name.
    pub(super) fn of(&mut self, kind: Kind, name: &str) -> String {
        let known = self.by_kind.entry(kind).or_default();
        let number = known.len() + 1;
        let instead = known.entry(name.to_owned());
        let instead = instead.or_insert_with(|| format!("{}-{number}", kind.word()));
        instead.clone()
    }

    /// Puts it in place of the name; nothing stays nothing.
    pub(super) fn replace(&mut self, kind: Kind, name: &mut String) {
        if !name.is_empty() {
            *name = self.of(kind, name);
        }
    }

    /// A name that is looked for in texts, too: wherever it is a word of its own, if no word of a
    /// sentence looks like it.
    pub(super) fn in_texts(&mut self, kind: Kind, name: &str) {
        if name.is_empty() {
            return;
        }
        let instead = self.of(kind, name);
        let is_sign = |c: char| c.is_ascii_digit() || "-_.@".contains(c);
        if name.contains(is_sign) && name.contains(char::is_alphabetic) {
            self.words.insert(name.to_owned(), instead);
        }
    }

    /// A file named on the command line.
    pub(super) fn argument(&mut self, path: &str) {
        if path.is_empty() || self.arguments.iter().any(|(known, _)| known == path) {
            return;
        }
        let instead = self.of(Kind::Path, path);
        self.arguments.push((path.to_owned(), instead));
        self.arguments
            .sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    }

    /// `text` without names.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text = self.without_arguments(text);
        let text = self.without_processes(&text);
        let text = self.without_paths(&text);
        self.without_words(&text)
    }

    /// Those that do not begin at the root; of the others, all are replaced. One without any
    /// directory may be a word, as `vmcore`: a text that is about a file begins with it.
    fn without_arguments(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, instead) in &self.arguments {
            if path.starts_with('/') {
                continue;
            }
            let behind = text.strip_prefix(path.as_str());
            if let Some(behind) = behind.filter(|behind| behind.starts_with(": ")) {
                text = format!("{instead}{behind}");
            }
            if path.contains('/') {
                text = text.replace(path.as_str(), instead);
            }
        }
        text
    }

    /// As texts name processes: `NAME[12]`, `NAME (pid 12`.
    fn without_processes(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if !text.contains(" (pid ") && !text.contains('[') {
            return text;
        }
        let known = self.by_kind.get(&Kind::Process);
        let mut known: Vec<_> = known.into_iter().flatten().collect();
        known.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, instead) in known {
            text = with_number(&text, name, instead);
        }
        text
    }

    /// All paths but the kernel's own, each as a whole: the longest that a document named and that
    /// ends where a word does, or the word. Of a shorter one the end would be left.
    fn without_paths(&mut self, text: &str) -> String {
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"',;()[]<>|".contains(c);
        let inside = |c: char| c.is_alphanumeric() || "_-.%/".contains(c);
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find('/') {
            let (before, from) = rest.split_at(at);
            out += before;
            let word = from.split(ends).next().unwrap_or_default();
            let word = word.trim_end_matches(['.', ':']);
            let (kind, path) = self.named_at(from).unwrap_or((Kind::Path, word));
            let path = if path.len() > word.len() { path } else { word };
            let path = if path.is_empty() { "/" } else { path };
            match out.ends_with(inside) || is_own(path) {
                true => out += path,
                false => out += &self.of(kind, path),
            }
            rest = from.get(path.len()..).unwrap_or_default();
        }
        out + rest
    }

    /// The longest path of a document that `text` begins with.
    fn named_at<'t>(&self, text: &'t str) -> Option<(Kind, &'t str)> {
        let kinds = [Kind::Path, Kind::Cgroup, Kind::Socket].into_iter();
        let known = kinds.filter_map(|kind| Some((kind, self.by_kind.get(&kind)?)));
        let known = known.flat_map(|(kind, names)| names.keys().map(move |name| (kind, name)));
        let found = known.filter(|(_, name)| {
            let behind = text.strip_prefix(name.as_str());
            let is_whole = |c: char| c.is_whitespace() || "\"',;()[]<>|:".contains(c);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(is_whole))
        });
        let (kind, name) = found.max_by_key(|(_, name)| name.len())?;
        Some((kind, text.get(..name.len())?))
    }

    fn without_words(&self, text: &str) -> String {
        let belongs = |c: char| c.is_alphanumeric() || "_-.@:+/".contains(c);
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find(belongs) {
            let (before, from) = rest.split_at(at);
            out += before;
            let end = from.find(|c| !belongs(c)).unwrap_or(from.len());
            let (all, behind) = from.split_at(end);
            let word = all.trim_end_matches(['.', ':']);
            let tail = all.get(word.len()..).unwrap_or_default();
            out += self.words.get(word).map_or(word, String::as_str);
            out += tail;
            rest = behind;
        }
        out + rest
    }
}

/// `text` with `instead` for `name` where a number of a process follows.
fn with_number(text: &str, name: &str, instead: &str) -> String {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        out += before;
        let behind = from.get(name.len()..).unwrap_or_default();
        let number = behind
            .strip_prefix('[')
            .or_else(|| behind.strip_prefix(" (pid "));
        let is_it = number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
        out += if is_it && !out.ends_with(inside) {
            instead
        } else {
            name
        };
        rest = behind;
    }
    out + rest
}
