//! Connections, translations, sockets and interfaces.

use super::{Kind, Named, Redactor};
use crate::analysis::nat::{Endpoint, PortGroup};
use crate::analysis::nat_rules::RuleRef;
use crate::report::conntrack::{DirectionDoc, NatReport, SummaryReport};
use crate::report::net::NetReport;
use crate::report::sockets::SocketsReport;
use crate::subsys::net::sockets::SocketFacts;

/// Tables and chains that each machine with a filter has: hooks, in the letters of either filter.
const OF_ALL: [&str; 10] = [
    "filter",
    "forward",
    "input",
    "mangle",
    "nat",
    "output",
    "postrouting",
    "prerouting",
    "raw",
    "security",
];

impl Named for SummaryReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        let summary = &mut self.summary;
        let tops = summary.top_sources.iter_mut();
        for top in tops.chain(&mut summary.top_destinations) {
            redactor.address(&mut top.name);
        }
    }
}

impl Named for NatReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for ports in &mut self.ports {
            redactor.port_group(&mut ports.group);
        }
        for one in &mut self.translations {
            let end = |end: &mut Endpoint| end.address = redactor.ip(end.address);
            let both = one.nat.snat.iter_mut().chain(&mut one.nat.dnat);
            both.flat_map(|nat| [&mut nat.from, &mut nat.to])
                .for_each(end);
            redactor.direction(&mut one.original);
            redactor.direction(&mut one.reply);
            if let Some(device) = &mut one.masquerade_device {
                redactor.interface(device);
            }
            for rule in one.snat_rules.iter_mut().chain(&mut one.dnat_rules) {
                redactor.rule(rule);
            }
        }
        for used in &mut self.rules {
            redactor.rule(&mut used.rule);
            if let Some(ports) = &mut used.ports {
                redactor.port_group(&mut ports.group);
            }
        }
    }
}

impl Named for SocketsReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        let summary = &mut self.summary;
        // Those of no process have a few words.
        for of in summary.processes.iter_mut().filter(|of| of.pid.is_some()) {
            redactor.process(&mut of.name);
        }
        for remote in &mut summary.remotes {
            redactor.address(&mut remote.address);
        }
        for reached in &mut summary.reached {
            reached.message = redactor.text(&reached.message);
        }
        for socket in &mut self.sockets {
            redactor.socket(socket);
        }
    }
}

impl Named for NetReport {
    fn redact(&mut self, redactor: &mut Redactor) {
        for net in &mut self.namespaces {
            for holder in &mut net.held_by {
                redactor.process_and_pid(holder);
            }
            for one in &mut net.facts.inhabitants {
                redactor.process(&mut one.comm);
            }
            for device in &mut net.facts.devices {
                redactor.interface(&mut device.name);
                redactor.mac(&mut device.mac);
                for one in &mut device.addresses {
                    redactor.address(&mut one.address);
                }
            }
            for route in &mut net.facts.routes {
                redactor.address(&mut route.destination);
                route.gateway = route.gateway.map(|gateway| redactor.ipv4(gateway));
                if let Some(device) = &mut route.device {
                    redactor.interface(device);
                }
            }
        }
        for pool in self.page_pools.iter_mut().flatten() {
            redactor.pool(pool);
        }
        for one in self
            .neighbours
            .iter_mut()
            .flat_map(|table| &mut table.neighbours)
        {
            redactor.address(&mut one.address);
            redactor.mac(&mut one.mac);
            redactor.interface(&mut one.device);
        }
    }
}

impl Redactor {
    fn direction(&mut self, direction: &mut DirectionDoc) {
        direction.src = self.ip(direction.src);
        direction.dst = self.ip(direction.dst);
    }

    fn port_group(&mut self, group: &mut PortGroup) {
        group.external = self.ip(group.external);
        group.remote = self.ip(group.remote);
    }

    fn rule(&mut self, rule: &mut RuleRef) {
        for (kind, name) in [
            (Kind::Table, &mut rule.table),
            (Kind::Chain, &mut rule.chain),
        ] {
            if !OF_ALL.contains(&name.to_ascii_lowercase().as_str()) {
                self.names.replace(kind, name);
            }
        }
    }

    fn socket(&mut self, socket: &mut SocketFacts) {
        if let Some(inet) = &mut socket.inet {
            inet.local = self.ip(inet.local);
            inet.remote = self.ip(inet.remote);
            self.address(&mut socket.local);
            self.address(&mut socket.remote);
        }
        if let Some(name) = socket.unix.as_mut().and_then(|unix| unix.name.as_mut()) {
            self.names.replace(Kind::Socket, name);
            socket.local.clone_from(name);
        }
        for owner in &mut socket.owners {
            self.process(&mut owner.comm);
        }
        if let Some(device) = &mut socket.device {
            self.interface(device);
        }
        if let Some(cgroup) = &mut socket.cgroup {
            self.cgroup(cgroup);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_filters_go_and_those_that_all_have_stay() {
        let mut redactor = Redactor::default();
        let mut told = |table: &str, chain: &str| {
            let mut rule = RuleRef {
                filter: "nf_tables",
                family: "ip",
                table: table.to_owned(),
                chain: chain.to_owned(),
                handle: 4,
            };
            redactor.rule(&mut rule);
            rule.to_string()
        };
        assert_eq!(told("nat", "POSTROUTING"), "ip nat POSTROUTING handle 4");
        assert_eq!(
            told("customer", "to-customer"),
            "ip table-1 chain-1 handle 4"
        );
    }
}
