//! Names in texts: those of which the form is known, and sentences.

use super::{Kind, Redactor};
use crate::subsys::net::page_pools::PagePoolFacts;

impl Redactor {
    /// A sentence without names and addresses, as far as they are told from its other words.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text = self.names.text(text);
        self.addresses.text(&text)
    }

    /// `task NAME[12]`, `stack of NAME[12]`; what is called otherwise is the kernel's.
    pub(super) fn task(&mut self, text: &mut String) {
        for lead in ["task ", "stack of "] {
            let name = text
                .strip_prefix(lead)
                .and_then(|text| text.rsplit_once('['));
            if let Some((name, number)) = name {
                let name = self.names.of(Kind::Process, name);
                *text = format!("{lead}{name}[{number}");
                return;
            }
        }
    }

    /// `NAME (pid 12)`.
    pub(super) fn process_and_pid(&mut self, text: &mut String) {
        if let Some((name, pid)) = text.rsplit_once(" (pid ") {
            let name = self.names.of(Kind::Process, name);
            *text = format!("{name} (pid {pid}");
        }
    }

    /// `pipe of NAME (pid 12)`, `bpf map NAME (hash) of NAME (pid 12)`, a symbol.
    pub(super) fn owner(&mut self, text: &mut String) {
        let (what, whom) = match text.rsplit_once(" (pid ") {
            Some((text, pid)) => match text.split_once(" of ") {
                Some((what, name)) => {
                    let name = self.names.of(Kind::Process, name);
                    (what.to_owned(), format!(" of {name} (pid {pid}"))
                }
                None => (text.to_owned(), format!(" (pid {pid}")),
            },
            None => (text.clone(), String::new()),
        };
        let what = match what.strip_prefix("bpf map ") {
            Some(map) => {
                let mut map = map.to_owned();
                self.map_and_kind(&mut map);
                format!("bpf map {map}")
            }
            None => what,
        };
        *text = what + &whom;
    }

    /// `NAME (hash)`; one that nobody named has a number.
    /// The interface that a pool names, and its parent, which may be the same.
    pub(super) fn pool(&mut self, pool: &mut PagePoolFacts) {
        for name in [&mut pool.device, &mut pool.parent].into_iter().flatten() {
            self.page_pool(name);
        }
    }

    /// `eth0`, or `eth0, destroyed`; not a CPU's, a device's by its place, or a variable's.
    pub(super) fn page_pool(&mut self, text: &mut String) {
        let (name, rest) = text.split_once(',').unwrap_or((text.as_str(), ""));
        let is_interface = !name.is_empty() && !name.contains([' ', ':', '[', '+']);
        if !is_interface || name == "destroyed" {
            return;
        }
        let name = self.names.of(Kind::Interface, name);
        *text = match rest.is_empty() {
            true => name,
            false => format!("{name},{rest}"),
        };
    }

    pub(super) fn map_and_kind(&mut self, text: &mut String) {
        if text.starts_with("number ") {
            return;
        }
        if let Some((name, kind)) = text.split_once(" (") {
            let name = self.names.of(Kind::Map, name);
            *text = format!("{name} ({kind}");
        }
    }
}
