//! Takes names and addresses out of a report that leaves the house.
//!
//! Layer: report. Input: the documents of the commands, from which names are learned by their keys,
//! and texts. Output: the same with a stand-in for each name and each address of a network: equal
//! ones have the same, so that the report can still be read. Invariants: names of the kernel
//! (caches, modules, symbols) and addresses of its memory stay; free text, such as the log and rules,
//! is left out by who puts the report together, for nothing tells what is in it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::Document;
use super::whole::{Told, WholeReport};

/// Keys of what somebody has named.
const KEYS: [&str; 9] = [
    "cgroup",
    "comm",
    "device",
    "host",
    "invoked_by",
    "masquerade_device",
    "memcg",
    "path",
    "victim",
];
/// Lists whose rows have a `name` that somebody gave.
const LISTS: [&str; 4] = ["cgroups", "interfaces", "devices", "maps"];
/// Shorter names say nothing of anybody, and would be found everywhere.
const SHORTEST: usize = 3;
/// What begins so is the kernel's own.
const OWN_PATHS: [&str; 2] = ["/proc/", "/sys/"];

/// What is known to be a name, and what stands in for it.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    names: BTreeMap<String, String>,
    addresses: BTreeMap<IpAddr, String>,
    macs: BTreeMap<String, String>,
}

impl Redactor {
    /// Learns the names of a document.
    pub fn learn(&mut self, value: &Value) {
        self.learn_below("", value);
    }

    /// Learns one name.
    pub fn name(&mut self, name: &str) {
        let long_enough = name.chars().count() >= SHORTEST;
        if !long_enough || name == "(none)" || self.names.contains_key(name) {
            return;
        }
        let own = OWN_PATHS.iter().any(|own| name.starts_with(own));
        if !own {
            let number = self.names.len() + 1;
            self.names.insert(name.to_owned(), format!("name-{number}"));
        }
    }

    fn learn_below(&mut self, list: &str, value: &Value) {
        match value {
            Value::Array(rows) => rows.iter().for_each(|row| self.learn_below(list, row)),
            Value::Object(members) => {
                for (key, value) in members {
                    let named =
                        KEYS.contains(&key.as_str()) || key == "name" && LISTS.contains(&list);
                    match value {
                        Value::String(name) if named => self.named(name),
                        Value::String(text) if text.starts_with(['/', '@']) => self.named(text),
                        _ => self.learn_below(key, value),
                    }
                }
            }
            _ => {}
        }
    }

    /// A name, as it is and as texts show it.
    fn named(&mut self, name: &str) {
        let shown: String = name.chars().flat_map(shown).collect();
        self.name(name);
        self.name(&shown);
    }

    /// `text` without names and addresses.
    pub fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut names: Vec<(&String, &String)> = self.names.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, instead) in names {
            if text.contains(name.as_str()) {
                text = replaced(&text, name, instead);
            }
        }
        let text = self.paths_of(&text);
        self.addresses_of(&text)
    }

    /// Paths that no document named.
    fn paths_of(&mut self, text: &str) -> String {
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"',;()[]<>|".contains(c);
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(at) = rest.find('/') {
            let (before, from) = rest.split_at(at);
            out += before;
            let (path, behind) = from.split_at(from.find(ends).unwrap_or(from.len()));
            let inside = out.ends_with(|c: char| c.is_alphanumeric() || "_-.%".contains(c))
                && !after_colour(&out);
            let is_path = !inside && path.len() > SHORTEST && path.starts_with(['/']);
            let own = OWN_PATHS.iter().any(|own| path.starts_with(own));
            if is_path && !own {
                self.name(path);
                out += self.names.get(path).map_or(path, String::as_str);
            } else {
                out += path;
            }
            rest = behind;
        }
        out + rest
    }

    fn addresses_of(&mut self, text: &str) -> String {
        let belongs = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(belongs) {
            let (before, from) = rest.split_at(start);
            out += before;
            let end = from.find(|c| !belongs(c)).unwrap_or(from.len());
            let (word, behind) = from.split_at(end);
            let inside = out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && !after_colour(&out);
            out += &match inside {
                true => word.to_owned(),
                false => self.address(word),
            };
            rest = behind;
        }
        out + rest
    }

    /// A stand-in, if `word` is an address, or one with a port or the end of a sentence behind it.
    fn address(&mut self, word: &str) -> String {
        let whole = word.trim_end_matches(['.', ':']);
        let tail = word.get(whole.len()..).unwrap_or_default();
        if let Some(instead) = self.of_ip(whole).or_else(|| self.of_mac(whole)) {
            return instead + tail;
        }
        if let Some((address, port)) = whole.rsplit_once(':')
            && let Some(instead) = self.of_ip(address)
        {
            return format!("{instead}:{port}{tail}");
        }
        word.to_owned()
    }

    fn of_ip(&mut self, word: &str) -> Option<String> {
        let address: IpAddr = word.parse().ok()?;
        if address.is_unspecified() || address.is_loopback() {
            return Some(word.to_owned());
        }
        let number = self.addresses.len() + 1;
        let instead = self.addresses.entry(address);
        Some(
            instead
                .or_insert_with(|| format!("address-{number}"))
                .clone(),
        )
    }

    fn of_mac(&mut self, word: &str) -> Option<String> {
        let bytes: Vec<&str> = word.split(':').collect();
        let is_byte = |byte: &&str| byte.len() == 2;
        if bytes.len() != 6 || !bytes.iter().all(is_byte) {
            return None;
        }
        let number = self.macs.len() + 1;
        let instead = self.macs.entry(word.to_owned());
        Some(instead.or_insert_with(|| format!("mac-{number}")).clone())
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(rows) => rows.iter_mut().for_each(|row| self.value(row)),
            Value::Object(members) => members.values_mut().for_each(|one| self.value(one)),
            _ => {}
        }
    }

    /// Takes them out of all that a report says.
    pub fn report(&mut self, document: &mut Document<WholeReport>) {
        let dump = &mut document.dump;
        if let Some(host) = dump.host.clone() {
            self.name(&host);
        }
        dump.host = dump.host.as_ref().map(|_| "(left out)".to_owned());
        let path = std::mem::replace(&mut dump.path, "(left out)".to_owned());
        self.name(&path);
        dump.panic = dump.panic.as_deref().map(|text| self.text(text));
        if let Some(task) = &mut dump.panic_task {
            task.comm = self.text(&task.comm);
        }
        for warning in &mut document.warnings {
            warning.message = self.text(&warning.message);
        }
        for assumption in &mut document.assumptions {
            assumption.value = self.text(&assumption.value);
            assumption.how = self.text(&assumption.how);
        }
        let body = &mut document.body;
        body.redacted = true;
        self.brief(body);
        for section in &mut body.sections {
            for text in section.losses.iter_mut().chain(&mut section.notes) {
                *text = self.text(text);
            }
            for figure in &mut section.figures {
                figure.relabel(&mut |label| self.text(label));
            }
            match &mut section.told {
                Ok(Told::Text(text)) => *text = self.text(text),
                Ok(Told::Data(data)) => self.value(data),
                Err(why) => *why = self.text(why),
            }
        }
    }

    fn brief(&mut self, body: &mut WholeReport) {
        let brief = &mut body.brief;
        if let Some(largest) = &mut brief.largest_process {
            largest.comm = self.text(&largest.comm);
        }
        let texts = brief.limits_reached.iter_mut().chain(&mut brief.doubts);
        for text in texts.chain(&mut brief.connections) {
            *text = self.text(text);
        }
        for finding in body.findings.iter_mut().flatten() {
            finding.message = self.text(&finding.message);
            let evidence = &mut finding.evidence;
            let reasons = evidence.r#for.iter_mut().chain(&mut evidence.against);
            for reason in reasons.chain(&mut evidence.not_checked) {
                reason.message = self.text(&reason.message);
            }
            for owner in &mut finding.owners {
                owner.how = self.text(&owner.how);
            }
        }
    }
}

/// As `render::printable` shows it.
fn shown(c: char) -> Vec<char> {
    match c.is_control() {
        true => c.escape_default().collect(),
        false => vec![c],
    }
}

/// `name` as a word of its own, everywhere.
fn replaced(text: &str, name: &str, instead: &str) -> String {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        out += before;
        let behind = from.get(name.len()..).unwrap_or_default();
        let begins = !out.ends_with(inside) || after_colour(&out) || !name.starts_with(inside);
        let ends = !behind.starts_with(inside) || !name.ends_with(inside);
        out += if begins && ends { instead } else { name };
        rest = behind;
    }
    out + rest
}

/// Whether the last letter ends a colour of the terminal: `ESC [ 1 m`.
fn after_colour(text: &str) -> bool {
    let code = text.rsplit_once("\x1b[").map(|(_, code)| code);
    let code = code.and_then(|code| code.strip_suffix('m'));
    code.is_some_and(|code| {
        code.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b';')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_learned_by_their_keys_and_replaced_as_words() {
        let mut redactor = Redactor::default();
        redactor.learn(&json!({
            "processes": [{"comm": "payrolld", "pid": 7}, {"comm": "sh"}],
            "cgroups": [{"name": "/acme.slice/secret-project"}],
            "caches": [{"name": "dentry"}],
            "files": [{"path": "/home/john smith/x"}],
        }));
        assert_eq!(redactor.text("see /proc/slabinfo"), "see /proc/slabinfo");
        let text =
            redactor.text("payrolld[7] of payrolld_x, \x1b[1mpayrolld\x1b[0m runs sh, dentry");
        assert_eq!(
            text,
            "name-3[7] of payrolld_x, \x1b[1mname-3\x1b[0m runs sh, dentry"
        );
        for secret in [
            "/acme.slice/secret-project",
            "in /var/secret.db, too",
            "/home/john smith/x",
        ] {
            let text = redactor.text(secret);
            for word in ["secret", "smith"] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn addresses_have_stand_ins_and_versions_stay() {
        let mut redactor = Redactor::default();
        let text = "10.1.2.3:443 and fe80::1, 10.1.2.3. 6.12.117 at 0xffff999dc02b3000 12:34:56 02:ab:cd:00:11:22 ::1 127.0.0.1 [2001:db8::5]:80";
        assert_eq!(
            redactor.text(text),
            "address-1:443 and address-2, address-1. 6.12.117 at 0xffff999dc02b3000 12:34:56 mac-1 ::1 127.0.0.1 [address-3]:80"
        );
        assert_eq!(
            redactor.text("\x1b[1m10.1.2.3\x1b[0m"),
            "\x1b[1maddress-1\x1b[0m"
        );
    }
}
