//! Networking: the connection table, devices and local ports.

pub mod conntrack;
pub mod devices;
pub mod local_ports;
pub mod rules;
