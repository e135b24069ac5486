//! Networking: the connection table and local ports.

pub mod conntrack;
pub mod local_ports;
