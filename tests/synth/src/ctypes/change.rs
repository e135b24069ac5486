//! Members of one release in the structures of another, as distributors mix them.

use super::{Aggregate, CType, TypeTable};

/// What is different from the era's own types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The structure has no such member, wherever it stood in it.
    Without(&'static str, &'static str),
    /// It is called as a later release calls it.
    Renamed(&'static str, &'static str, &'static str),
}

impl TypeTable {
    /// Applies a change.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Without(tag, name) => {
                let aggregate = self.aggregates.get_mut(tag).expect("struct");
                assert!(drop(aggregate, name), "{tag}.{name}");
            }
            Change::Renamed(tag, old, new) => {
                let aggregate = self.aggregates.get_mut(tag).expect("struct");
                assert!(rename(aggregate, old, new), "{tag}.{old}");
            }
        }
    }
}

fn drop(aggregate: &mut Aggregate, name: &str) -> bool {
    let before = aggregate.members.len();
    let members = &mut aggregate.members;
    members.retain(|member| member.name.as_deref() != Some(name));
    let nested = members.iter_mut().filter(|member| member.name.is_none());
    let mut found = false;
    for member in nested {
        if let CType::Nameless(inner) = &mut member.ctype {
            found |= drop(inner, name);
        }
    }
    found || members.len() < before
}

fn rename(aggregate: &mut Aggregate, old: &str, new: &str) -> bool {
    let mut found = false;
    for member in &mut aggregate.members {
        match &mut member.ctype {
            CType::Nameless(inner) if member.name.is_none() => found |= rename(inner, old, new),
            _ if member.name.as_deref() == Some(old) => {
                member.name = Some(new.to_owned());
                found = true;
            }
            _ => {}
        }
    }
    found
}
