//! Memory by owner, who keeps what, and who allocated what.

use super::{Named, Redactor};
use crate::report::kmemleak::KmemleakReport;
use crate::report::pageowner::PageOwnerReport;
use crate::report::pages::PagesReport;
use crate::report::retained::RetainedReport;

/// What kmemleak puts in place of a task's name in an interrupt, and in a kernel that boots.
const NO_TASKS: [&str; 3] = ["softirq", "hardirq", "kmemleak_init"];

impl Named for PagesReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        let mut owner = |kind: &str, name: &mut String, comm: &mut Option<String>| {
            if kind == "page_pool" {
                redactor.page_pool(name);
            }
            if kind == "bpf_map" {
                redactor.map_and_kind(name);
            }
            if let Some(comm) = comm {
                redactor.process(comm);
            }
        };
        for row in &mut self.rows {
            if let Some(of) = &mut row.owner {
                owner(&row.kind, &mut of.name, &mut of.comm);
            }
        }
        for owned in &mut self.owned {
            let of = &mut owned.owner;
            owner(of.kind, &mut of.name, &mut of.comm);
        }
        for pool in self.page_pools.iter_mut().flatten() {
            redactor.pool(&mut pool.facts);
            redactor.page_pool(&mut pool.name);
        }
        for areas in &mut self.areas {
            redactor.owner(&mut areas.caller);
        }
        for text in &mut self.unknown_owners {
            *text = redactor.text(text);
        }
    }
}

impl Named for RetainedReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        let facts = &mut self.facts;
        for owner in &mut facts.owners {
            redactor.task(&mut owner.name);
            for group in &mut owner.groups {
                redactor.task(&mut group.name);
                redactor.task(&mut group.held_by);
            }
        }
        for shared in &mut facts.shared {
            for name in &mut shared.by {
                redactor.task(name);
            }
            for group in &mut shared.groups {
                redactor.task(&mut group.name);
                redactor.task(&mut group.held_by);
            }
        }
        for container in &mut facts.containers {
            redactor.task(&mut container.holder);
            if let Some(root) = &mut container.root {
                redactor.task(root);
            }
        }
    }
}

impl Named for KmemleakReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        let groups = self.stacks.iter_mut().map(|group| &mut group.comm);
        let objects = self.unreferenced.iter_mut();
        let objects = objects.map(|object| {
            // Beginnings of objects, which may be anything.
            object.bytes = None;
            &mut object.comm
        });
        for comm in groups.chain(objects) {
            if !NO_TASKS.contains(&comm.as_str()) {
                redactor.process(comm);
            }
        }
    }
}

impl Named for PageOwnerReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for site in &mut self.facts.sites {
            for task in &mut site.tasks {
                redactor.process(task);
            }
        }
    }
}
