//! Takes names and addresses out of a report that leaves the house.
//!
//! Layer: report. Input: the documents of the commands, before anything is drawn or written of
//! them. Output: the same with a stand-in for each name and each address: equal ones have the same,
//! so that the report can still be read. A name is known by the field that holds it ([`Named`] of
//! each document says which), never by its letters: a process may be called `raw` or `held`, and
//! these words are vmleak's, too. Invariants: names of the kernel (caches, modules, symbols, limits,
//! kinds of file systems) and addresses of its memory stay; text out of memory is told by its
//! length; what somebody wrote freely, as the log and rules, is left out by who puts the report
//! together, for nothing tells what is in it.

mod addresses;
mod leaks;
mod machine;
mod memory;
mod names;
mod network;
mod texts;

use std::net::{IpAddr, Ipv4Addr};

use super::whole::WholeReport;
use super::{Document, DumpIdentity};
use addresses::Addresses;
use names::Names;

/// In place of what has no stand-in.
const LEFT_OUT: &str = "(left out)";
/// A machine that nobody gave a name (DEFAULT_HOSTNAME of the kernel).
const UNNAMED: &str = "(none)";

/// A document that knows which of its fields hold names.
pub trait Named {
    /// Puts stand-ins in their place.
    fn redact(&mut self, redactor: &mut Redactor);
}

/// Documents without a name that somebody of this machine gave.
macro_rules! nameless {
    ($($document:ty),* $(,)?) => {
        $(impl Named for $document {
            fn redact(&mut self, _: &mut Redactor) {}
        })*
    };
}

nameless!(
    super::InfoReport,
    super::SlabsReport,
    super::allocinfo::AllocReport,
    super::meminfo::MeminfoReport,
    super::modules::ModulesReport,
    super::sysctl::SysctlCheckReport,
    super::vmalloc::VmallocReport,
    super::zones::ZonesReport,
);

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Process,
    Interface,
    Cgroup,
    Path,
    Device,
    Socket,
    Map,
    Program,
    Table,
    Chain,
    Host,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Interface => "interface",
            Self::Cgroup => "cgroup",
            Self::Path => "path",
            Self::Device => "device",
            Self::Socket => "socket",
            Self::Map => "map",
            Self::Program => "program",
            Self::Table => "table",
            Self::Chain => "chain",
            Self::Host => "host",
        }
    }
}

/// What stands in for which name and address.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    names: Names,
    addresses: Addresses,
}

impl Redactor {
    /// A process that a text may tell of, before any does.
    pub fn learn_process(&mut self, comm: &str) {
        self.names.in_texts(Kind::Process, comm);
    }

    /// The same of an interface.
    pub fn learn_interface(&mut self, name: &str) {
        if name != "lo" {
            self.names.in_texts(Kind::Interface, name);
        }
    }

    /// The same of a file or directory that was named on the command line, which need not begin at
    /// the root.
    pub fn learn_path(&mut self, path: &str) {
        self.names.argument(path);
    }

    /// Name of a process.
    fn process(&mut self, comm: &mut String) {
        self.names.replace(Kind::Process, comm);
    }

    fn interface(&mut self, name: &mut String) {
        // Every machine has the first; the others stand for none.
        if !["lo", "*", "?", "unknown"].contains(&name.as_str()) {
            self.names.replace(Kind::Interface, name);
        }
    }

    fn cgroup(&mut self, path: &mut String) {
        if path.starts_with('/') && path != "/" {
            self.names.replace(Kind::Cgroup, path);
        }
    }

    fn path(&mut self, path: &mut String) {
        if !names::is_of_all_machines(path) {
            self.names.replace(Kind::Path, path);
        }
    }

    fn ip(&mut self, address: IpAddr) -> IpAddr {
        self.addresses.ip(address)
    }

    fn ipv4(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        self.addresses.four(address)
    }

    /// An address as a text, with its port or with how many bits of it count.
    fn address(&mut self, text: &mut String) {
        *text = self.addresses.text(text);
    }

    fn mac(&mut self, address: &mut String) {
        *address = self.addresses.mac(address);
    }

    /// Which dump it is of.
    pub fn identity(&mut self, dump: &mut DumpIdentity) {
        if let Some(host) = dump.host.as_mut().filter(|host| *host != UNNAMED) {
            self.names.in_texts(Kind::Host, host);
            *host = LEFT_OUT.to_owned();
        }
        let path = std::mem::replace(&mut dump.path, LEFT_OUT.to_owned());
        self.learn_path(&path);
        dump.panic = dump.panic.as_deref().map(|text| self.text(text));
        if let Some(task) = &mut dump.panic_task {
            self.process(&mut task.comm);
        }
    }

    /// What a report says around the documents of the commands, which were redacted before it was
    /// put together, as what is drawn of them and the first page.
    pub fn frame(&mut self, document: &mut Document<WholeReport>) {
        self.identity(&mut document.dump);
        for warning in &mut document.warnings {
            warning.message = self.text(&warning.message);
        }
        for assumption in &mut document.assumptions {
            assumption.value = self.text(&assumption.value);
            assumption.how = self.text(&assumption.how);
        }
        document.body.redacted = true;
        for section in &mut document.body.sections {
            for text in section.losses.iter_mut().chain(&mut section.notes) {
                *text = self.text(text);
            }
            if let Err(why) = &mut section.told {
                *why = self.text(why);
            }
        }
    }
}

#[cfg(test)]
mod tests;
