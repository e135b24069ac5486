//! Processes, cgroups, files, BPF.

use super::{Kind, Named, Redactor};
use crate::report::bpf::BpfReport;
use crate::report::files::FilesReport;
use crate::report::memcg::MemcgReport;
use crate::report::ps::PsReport;

impl Named for PsReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for process in &mut self.processes {
            redactor.process(&mut process.comm);
            if let Some(cgroup) = &mut process.cgroup {
                redactor.cgroup(cgroup);
            }
        }
        for cgroup in &mut self.cgroups {
            redactor.cgroup(&mut cgroup.name);
        }
    }
}

impl Named for MemcgReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for memcg in &mut self.memcgs {
            if let Some(path) = &mut memcg.path {
                redactor.cgroup(path);
            }
            let held = memcg.held_by.iter_mut().flat_map(|held| &mut held.largest);
            for path in held.filter_map(|file| file.path.as_mut()) {
                redactor.path(path);
            }
        }
    }
}

impl Named for FilesReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for mount in &mut self.mounts {
            if let Some(path) = &mut mount.path {
                redactor.path(path);
            }
            // What is on no device is called as its type, or not at all.
            if mount.device != mount.kind && mount.device != "none" {
                redactor.names.replace(Kind::Device, &mut mount.device);
            }
        }
        for file in &mut self.files {
            if let Some(path) = &mut file.path {
                redactor.path(path);
            }
            for opener in &mut file.openers {
                redactor.process(&mut opener.comm);
            }
        }
    }
}

impl Named for BpfReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for map in &mut self.maps {
            redactor.names.replace(Kind::Map, &mut map.name);
        }
        for program in &mut self.programs {
            redactor.names.replace(Kind::Program, &mut program.name);
        }
        let holders = self.maps.iter_mut().map(|map| &mut map.open_by);
        let programs = self.programs.iter_mut().map(|program| &mut program.open_by);
        for holder in holders.chain(programs).flatten() {
            redactor.process(&mut holder.comm);
        }
    }
}
