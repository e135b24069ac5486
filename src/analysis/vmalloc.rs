//! Areas of vmalloc by who asked for them: the table in which a leak of vmalloc shows.

use std::collections::HashMap;

use serde::Serialize;

use crate::subsys::mm::vmalloc::{AreaKind, VmallocArea};

/// All areas of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallerGroup {
    /// The function, or what the areas are that have none.
    pub caller: String,
    /// Its module; `None` in the kernel itself.
    pub module: Option<String>,
    /// How many areas.
    pub areas: u64,
    /// Pages of memory that they hold.
    pub pages: u64,
    /// Bytes of addresses, guard pages included.
    pub address_bytes: u64,
    /// The kinds that are among them: `vmalloc`, `ioremap`, ….
    pub flags: Vec<&'static str>,
}

/// Groups, the one with the most pages first.
pub fn by_caller(areas: &[VmallocArea]) -> Vec<CallerGroup> {
    let mut groups: HashMap<(String, Option<String>), CallerGroup> = HashMap::new();
    for area in areas {
        let (caller, module) = match (&area.caller, area.kind) {
            (Some(caller), _) => (caller.function.clone(), caller.module.clone()),
            (None, AreaKind::VmMapRam) => ("vm_map_ram".to_owned(), None),
            (None, AreaKind::Unpurged) => ("(unpurged)".to_owned(), None),
            (None, AreaKind::Vm) => {
                let address = area.caller_address.map(|at| at.to_string());
                (address.unwrap_or_else(|| "(unknown)".to_owned()), None)
            }
        };
        let group = groups
            .entry((caller.clone(), module.clone()))
            .or_insert_with(|| CallerGroup {
                caller,
                module,
                ..CallerGroup::default()
            });
        group.areas += 1;
        group.pages = group.pages.saturating_add(area.pages);
        group.address_bytes = group.address_bytes.saturating_add(area.bytes());
        for flag in &area.flags {
            if !group.flags.contains(flag) {
                group.flags.push(flag);
            }
        }
    }
    let mut groups: Vec<CallerGroup> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        let key = |g: &CallerGroup| {
            (
                std::cmp::Reverse((g.pages, g.address_bytes)),
                g.caller.clone(),
            )
        };
        key(a).cmp(&key(b)).then(a.module.cmp(&b.module))
    });
    groups
}
