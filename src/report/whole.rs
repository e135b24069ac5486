//! The part of `report`: what other commands say, one after the other, and what comes first.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::figures::Figure;
use crate::analysis::brief::Brief;
use crate::analysis::finding::Finding;

/// How one command says it.
#[derive(Clone, Debug)]
pub enum Told {
    /// As it would on a terminal, with colour, without the lines that say which dump it is.
    Text(String),
    /// The command's own part of its document.
    Data(Value),
}

/// What sections are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Memory of all kinds.
    Memory,
    /// Processes and files.
    Processes,
    /// Connections, sockets, rules.
    Network,
    /// The kernel itself, its log and the dump.
    Kernel,
}

impl Room {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::Processes => "Processes and files",
            Self::Network => "Network",
            Self::Kernel => "Kernel and dump",
        }
    }
}

/// A section before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// What it is about.
    pub title: &'static str,
    /// The command, with its options.
    pub command: &'static str,
    /// Among which others it stands.
    pub room: Room,
}

impl Topic {
    /// `conntrack_summary` for `conntrack --summary`.
    pub fn id(&self) -> String {
        self.command.replace(" --", "_")
    }
}

/// What one command says.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is about.
    pub topic: Topic,
    /// Or why it can say nothing.
    pub told: Result<Told, String>,
    /// Whether nothing that it needs was missing.
    pub complete: bool,
    /// What was missing or broken that this section rests on.
    pub losses: Vec<String>,
    /// What else there is to know of it: nothing is missing for that.
    pub notes: Vec<String>,
    /// What is drawn of it.
    pub figures: Vec<Figure>,
}

/// The part of `report`.
#[derive(Clone, Debug)]
pub struct WholeReport {
    /// For who has one minute.
    pub brief: Brief,
    /// Worst first; `None` if objects were not looked for.
    pub findings: Option<Vec<Finding>>,
    /// Whether they were to be looked for.
    pub searched: bool,
    /// Whether names and addresses were taken out.
    pub redacted: bool,
    /// In the order of reading.
    pub sections: Vec<Section>,
}

/// Sections by their ids, and why others are not there.
impl Serialize for WholeReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut untold = serde_json::Map::new();
        let mut incomplete = serde_json::Map::new();
        let mut notes = serde_json::Map::new();
        map.serialize_entry("brief", &self.brief)?;
        map.serialize_entry("redacted", &self.redacted)?;
        for section in &self.sections {
            let id = section.topic.id();
            if !section.complete {
                incomplete.insert(id.clone(), Value::from(section.losses.clone()));
            }
            if !section.notes.is_empty() {
                notes.insert(id.clone(), Value::from(section.notes.clone()));
            }
            match &section.told {
                Ok(Told::Data(data)) => map.serialize_entry(&id, data)?,
                Ok(Told::Text(text)) => map.serialize_entry(&id, text)?,
                Err(why) => {
                    untold.insert(id, Value::from(why.as_str()));
                }
            }
        }
        map.serialize_entry("incomplete", &incomplete)?;
        map.serialize_entry("notes", &notes)?;
        map.serialize_entry("untold", &untold)?;
        map.end()
    }
}
