//! /proc/net/dev, arp and route to the letter.

use std::io::{self, Write};

use crate::render::printable;
use crate::report::net::{NetReport, NetnsReport};

const DEV: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed";
const ARP: &str = "IP address       HW type     Flags       HW address            Mask     Device";
const ROUTE: &str =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
/// To which lines of routes are filled.
const ROUTE_WIDTH: usize = 127;
/// RT_TABLE_MAIN.
const MAIN: u64 = 254;
/// RTN_BROADCAST and RTN_MULTICAST, which the file leaves out, RTN_UNREACHABLE and RTN_PROHIBIT.
const LEFT_OUT: [u64; 2] = [3, 5];
const REJECTED: [u64; 2] = [7, 8];
/// NUD_PERMANENT, and all states in which an address may be used (NUD_VALID).
const PERMANENT: u64 = 0x80;
const VALID: u64 = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;

/// /proc/net/dev (net/core/net-procfs.c). A device whose counters are not known has dashes.
///
/// # Errors
/// If writing fails.
pub fn write_dev(out: &mut dyn Write, net: &NetnsReport) -> io::Result<()> {
    writeln!(out, "{DEV}")?;
    for device in &net.facts.devices {
        let name = printable(&device.name);
        let Some(stats) = &device.statistics else {
            writeln!(
                out,
                "{name:>6}: {:>7} {:>7} {:>4} {:>4} {:>4} {:>5} {:>10} {:>9} {:>8} {:>7} {:>4} {:>4} {:>4} {:>5} {:>7} {:>10}",
                '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-', '-'
            )?;
            continue;
        };
        writeln!(
            out,
            "{name:>6}: {:7} {:7} {:4} {:4} {:4} {:5} {:10} {:9} {:8} {:7} {:4} {:4} {:4} {:5} {:7} {:10}",
            stats.rx_bytes,
            stats.rx_packets,
            stats.rx_errors,
            stats.rx_dropped.wrapping_add(stats.rx_missed_errors),
            stats.rx_fifo_errors,
            stats.rx_frame_errors,
            stats.rx_compressed,
            stats.multicast,
            stats.tx_bytes,
            stats.tx_packets,
            stats.tx_errors,
            stats.tx_dropped,
            stats.tx_fifo_errors,
            stats.collisions,
            stats.tx_carrier_errors,
            stats.tx_compressed
        )?;
    }
    Ok(())
}

/// /proc/net/arp (net/ipv4/arp.c), less the addresses that are answered for others.
///
/// # Errors
/// If writing fails.
pub fn write_arp(out: &mut dyn Write, report: &NetReport, net: &NetnsReport) -> io::Result<()> {
    writeln!(out, "{ARP}")?;
    let tables = report.neighbours.iter();
    let tables = tables.filter(|table| table.family == "ipv4");
    for neighbour in tables.flat_map(|table| &table.neighbours) {
        if neighbour.netns != Some(net.facts.inum) || !neighbour.is_shown() {
            continue;
        }
        let devices = net.facts.devices.iter();
        let mut devices = devices.filter(|device| device.name == neighbour.device);
        let hardware = devices.next().map_or(0, |device| device.hardware);
        let flags = match neighbour.state_number {
            state if state & PERMANENT != 0 => 6,
            state if state & VALID != 0 => 2,
            _ => 0,
        };
        writeln!(
            out,
            "{:<16} 0x{hardware:<10x}0x{flags:<10x}{:<17}     *        {}",
            neighbour.address,
            neighbour.mac,
            printable(&neighbour.device)
        )?;
    }
    Ok(())
}

/// /proc/net/route (net/ipv4/fib_trie.c): the main table.
///
/// # Errors
/// If writing fails.
pub fn write_route(out: &mut dyn Write, net: &NetnsReport) -> io::Result<()> {
    writeln!(out, "{ROUTE:<ROUTE_WIDTH$}")?;
    for route in &net.facts.routes {
        if route.table != MAIN || LEFT_OUT.contains(&route.type_number) {
            continue;
        }
        let mask = match route.prefix {
            0 => 0u32,
            bits => u32::MAX << (32 - bits),
        };
        let gateway = route
            .gateway
            .map_or(0, |at| u32::from_le_bytes(at.octets()));
        let [advmss, window, rtt] = route.metrics;
        // RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT.
        let mut flags = 1;
        flags |= if gateway != 0 { 2 } else { 0 };
        flags |= if mask == u32::MAX { 4 } else { 0 };
        flags |= if REJECTED.contains(&route.type_number) {
            0x200
        } else {
            0
        };
        let line = format!(
            "{}\t{:08X}\t{gateway:08X}\t{flags:04X}\t0\t0\t{}\t{:08X}\t{}\t{window}\t{}",
            printable(route.device.as_deref().unwrap_or("*")),
            route.key.swap_bytes(),
            route.metric,
            mask.swap_bytes(),
            if advmss == 0 { 0 } else { advmss + 40 },
            rtt >> 3
        );
        writeln!(out, "{line:<ROUTE_WIDTH$}")?;
    }
    Ok(())
}
