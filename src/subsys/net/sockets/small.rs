//! What stands in place of a socket: in TIME_WAIT, and during a handshake. They are smaller than a
//! `struct sock`, of which only the beginning is theirs.

use super::facts::SocketFacts;
use super::names::{endpoint, state_name, type_name};
use super::reader::Reader;
use crate::addr::VirtAddr;

/// TCP_SYN_RECV, as which a handshake is shown.
const SYN_RECV: u64 = 3;

impl Reader<'_> {
    pub(super) fn time_wait(&self, facts: &mut SocketFacts) -> Option<()> {
        let layout = &self.tcp.timewait;
        let record = self.kernel.space.span(facts.address, layout.len).ok()?;
        let state = layout.substate.get(&record);
        facts.state_number = state;
        facts.state = state_name(state);
        facts.type_name = type_name(1);
        facts.protocol = 6;
        let port = (layout.sport.get(&record) as u16).swap_bytes();
        if let Some(inet) = &mut facts.inet {
            inet.local_port = port;
            facts.local = endpoint(inet.local, port);
        }
        facts.mark = layout.mark.map_or(0, |field| field.get(&record));
        let expires = layout.expires.map(|field| field.get(&record));
        facts.timer = expires.map(|expires| self.tcp.timer_at("timewait", expires, 0));
        Some(())
    }

    pub(super) fn handshake(&self, facts: &mut SocketFacts) -> Option<()> {
        let layout = &self.tcp.request;
        let record = self.kernel.space.span(facts.address, layout.len).ok()?;
        facts.state_number = SYN_RECV;
        facts.state = state_name(SYN_RECV);
        facts.type_name = type_name(1);
        facts.protocol = 6;
        // The kernel prints none.
        facts.refcount = 0;
        facts.uid = self.listener_uid(&record).unwrap_or(0);
        let expires = layout.expires.get(&record);
        let timeouts = layout.timeouts.get(&record);
        facts.timer = Some(self.tcp.timer_at("on", expires, timeouts));
        Some(())
    }

    fn listener_uid(&self, request: &[u8]) -> Option<u64> {
        let listener = VirtAddr(self.tcp.request.listener?.get(request));
        let record = self.kernel.space.span(listener, self.sock.len).ok()?;
        let socket = VirtAddr(self.sock.socket.get(&record));
        Some(self.owners.of(socket)?.uid)
    }
}
