//! Networking: the connection table, sockets, interfaces and local ports.

pub mod conntrack;
pub mod devices;
mod fragments;
pub mod interfaces;
pub mod local_ports;
pub mod page_pools;
pub mod rules;
pub mod skbs;
pub mod sockets;
