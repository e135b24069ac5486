//! The part of `report`: what other commands say, one after the other.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::analysis::finding::Finding;
use crate::analysis::memory::Memory;

/// How a command says it.
#[derive(Clone, Debug)]
pub enum Told {
    /// As it would on a terminal, with colour.
    Text(String),
    /// The command's own part of its document.
    Data(Value),
}

/// What one command says.
#[derive(Clone, Debug)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// The command, with its options.
    pub command: &'static str,
    /// Or why it can say nothing.
    pub told: Result<Told, String>,
}

impl Section {
    /// `conntrack_summary` for `conntrack --summary`.
    pub fn id(&self) -> String {
        self.command.replace(" --", "_")
    }
}

/// The part of `report`.
#[derive(Clone, Debug)]
pub struct WholeReport {
    /// Worst first; `None` if objects could not be looked for.
    pub findings: Option<Vec<Finding>>,
    /// Where the memory went; `None` if that can't be told.
    pub memory: Option<Memory>,
    /// In the order of reading.
    pub sections: Vec<Section>,
}

/// Sections by their ids, and why others are not there.
impl Serialize for WholeReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut untold = serde_json::Map::new();
        for section in &self.sections {
            match &section.told {
                Ok(Told::Data(data)) => map.serialize_entry(&section.id(), data)?,
                Ok(Told::Text(text)) => map.serialize_entry(&section.id(), text)?,
                Err(why) => {
                    untold.insert(section.id(), Value::from(why.as_str()));
                }
            }
        }
        map.serialize_entry("untold", &untold)?;
        map.end()
    }
}
