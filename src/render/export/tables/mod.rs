//! The tables. Columns are added, never renamed; addresses are `0x` and 16 digits, as in JSON.

mod dump;
mod findings;
mod memory;
mod net;
mod rules;

pub use dump::{DUMPS, DumpRow, LOG, SYSCTLS};
pub use findings::{CLUSTERS, ClusterRow, FINDINGS};
pub use memory::{CACHES, FILES, LEDGER, LedgerRow, PROCESSES};
pub use net::{CONNECTIONS, SOCKETS, TRANSLATIONS};
pub use rules::{RULES, RuleRow};

use super::column::TableSchema;

/// All of them.
pub fn all() -> Vec<TableSchema> {
    vec![
        DUMPS.schema(),
        CACHES.schema(),
        FINDINGS.schema(),
        CLUSTERS.schema(),
        LEDGER.schema(),
        PROCESSES.schema(),
        FILES.schema(),
        CONNECTIONS.schema(),
        TRANSLATIONS.schema(),
        SOCKETS.schema(),
        RULES.schema(),
        SYSCTLS.schema(),
        LOG.schema(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_given_once_and_each_is_explained() {
        let tables = all();
        let names: BTreeSet<&str> = tables.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), tables.len());
        for table in &tables {
            let columns: BTreeSet<&str> = table.columns.iter().map(|one| one.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            assert!(table.columns.iter().all(|one| !one.about.is_empty()));
        }
    }
}
