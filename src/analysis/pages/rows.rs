//! The ledger owner by owner: every page of RAM in one row.

use serde::Serialize;

use super::Ledger;
use crate::graph::{Owned, PagesFacts};

/// Whose the pages of a row are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowOwner {
    /// `process`, `holder` (what points to them), or the structure that has them: `bpf_map`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which one; empty if there is only one.
    pub name: String,
    /// The process that has it open.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As the code of a line: `anon`, `slab`, `socket_buffers`.
    pub kind: String,
    /// Whose they are, where that is told.
    pub owner: Option<RowOwner>,
    /// Bytes.
    pub bytes: u64,
    /// Pages.
    pub pages: u64,
    /// By what that is known: `page_structure`, `owner` (a structure that has them), `page_tables`
    /// (walked), `pointer` (a word that means them).
    pub how: &'static str,
}

impl RowOwner {
    fn of(owned: &Owned) -> Self {
        let owner = &owned.owner;
        Self {
            kind: match owner.pid {
                Some(_) => "process",
                None => owner.kind,
            },
            name: owner.name.clone(),
            pid: owner.pid,
            comm: owner.comm.clone(),
        }
    }
}

/// Rows that add up to the lines, most pages first.
pub fn rows(facts: &PagesFacts, ledger: &Ledger) -> Vec<Row> {
    let page = facts.coverage.page_bytes;
    let row = |kind: &str, owner, pages: u64, how| Row {
        kind: kind.to_owned(),
        owner,
        bytes: pages.saturating_mul(page),
        pages,
        how,
    };
    let mut rows = Vec::new();
    for line in &ledger.lines {
        let mut left = line.pages;
        let tables = line.code == "page_tables";
        let owned = if tables {
            &facts.page_tables
        } else {
            &facts.owned
        };
        let how = if tables { "page_tables" } else { "owner" };
        for owned in owned.iter().filter(|one| one.owner.kind == line.code) {
            let pages = owned.pages.min(left);
            left -= pages;
            rows.push(row(&line.code, Some(RowOwner::of(owned)), pages, how));
        }
        let pointed = facts.pointed_to.iter();
        for one in pointed.filter(|_| line.code == "kernel_pointed_to") {
            let owner = RowOwner {
                kind: "holder",
                name: one.holder.clone(),
                pid: None,
                comm: None,
            };
            left = left.saturating_sub(one.pages);
            rows.push(row(&line.code, Some(owner), one.pages, "pointer"));
        }
        rows.push(row(&line.code, None, left, "page_structure"));
    }
    rows.retain(|row| row.pages > 0);
    rows.sort_by(|a, b| (b.pages, &a.kind).cmp(&(a.pages, &b.kind)));
    rows
}
