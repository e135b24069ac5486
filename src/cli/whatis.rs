//! `whatis`.

use std::process::ExitCode;

use anyhow::Result;
use vmleak::addr::{Pfn, PhysAddr, VirtAddr};
use vmleak::graph::{self, Place};
use vmleak::kernel::modules::{self, Modules};
use vmleak::render;
use vmleak::report::whatis::WhatIsReport;

use super::leaks_args::{WhatisArgs, WhatisFormat};
use super::names::word_and_files;
use super::output::{Reader, output};
use super::session::{Session, exit};
use super::wrong::{nothing_so, wrong};

pub(crate) fn whatis(args: &WhatisArgs) -> Result<ExitCode> {
    let (place, common) = word_and_files(&args.address, &args.common);
    let session = Session::open(&common)?;
    let place = asked(&session, &place)?;
    let options = graph::Options {
        deadline: None,
        memory: args.common.max_memory,
        list: None,
        suspects: None,
        own_pages: false,
        progress: &*session.progress,
    };
    let found = graph::whatis(&session.kernel, place, &options);
    let mut report = WhatIsReport::new(session.explain(found)?);
    let address = report.found.address;
    if args.path {
        report.path = session.explain(graph::alive::why(&session.kernel, &options, address))?;
    }
    let complete = report.is_complete();
    let document = session.document(&args.common, complete, report);
    let reader = match args.format {
        WhatisFormat::Table => Reader::Person,
        WhatisFormat::Json => Reader::Program,
    };
    output(&args.common, reader, |out, _| match args.format {
        WhatisFormat::Table => render::whatis::write_text(out, &document),
        WhatisFormat::Json => render::json(out, &document),
    })?;
    Ok(exit(document.complete))
}

/// `pfn:` with the number of a page, `phys:` with a physical address, else an address.
fn asked(session: &Session, place: &str) -> Result<Place> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let shift = session.kernel.dump().page_shift();
    let reach = 1u64 << session.kernel.space.physical_bits().min(63);
    let within = |phys: Option<u64>| {
        let beyond = || {
            wrong(format!(
                "{place} is no page that this machine can have: give pfn: and the number of one, or phys: and a physical address in hexadecimal"
            ))
        };
        let phys = phys.filter(|phys| *phys < reach).ok_or_else(beyond)?;
        let end = session.kernel.dump().max_pfn();
        match phys >> shift < end {
            true => Ok(phys),
            false => Err(wrong(format!(
                "{place} is behind the last page that the headers of the dump name ({}): a device's memory, or nothing",
                end.saturating_sub(1)
            ))),
        }
    };
    if let Some(text) = place.strip_prefix("pfn:") {
        let phys = number(text).and_then(|pfn| pfn.checked_mul(1 << shift));
        return Ok(Place::Page(Pfn(within(phys)? >> shift)));
    }
    if let Some(text) = place.strip_prefix("phys:") {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let phys = within(u64::from_str_radix(digits, 16).ok())?;
        return Ok(Place::Physical(PhysAddr(phys)));
    }
    let address = address(session, place)?;
    // The first page is never mapped, and a small number in memory is hardly ever meant as its address.
    let is_small = address.0 < session.kernel.dump().page_size() as u64;
    if is_small || !session.kernel.space.is_canonical(address) {
        let message = format!("{address} is no address that this machine has: nothing lies there");
        return Err(wrong(message));
    }
    Ok(Place::Address(address))
}

/// Hexadecimal, as crash and drgn print it, or a symbol of the kernel or of a module, with an
/// offset behind it.
fn address(session: &Session, place: &str) -> Result<VirtAddr> {
    let digits = place.strip_prefix("0x").unwrap_or(place);
    if digits.len() > 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong(format!(
            "{place} has more than the 64 bits of an address"
        )));
    }
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok();
    let (name, offset) = match place.split_once('+') {
        // What follows a slash is the size of what the symbol names.
        Some((name, rest)) => (name, rest.split('/').next().and_then(hex)),
        None => (place, Some(0)),
    };
    let kernel = &session.kernel;
    let looks_like_address = place.starts_with("0x") || place.len() >= 12;
    if let (true, Some(address)) = (looks_like_address, hex(place)) {
        return Ok(VirtAddr(address));
    }
    let symbol = match kernel.symbol_table().address(name) {
        Some(_) => kernel.symbol(name),
        None => modules::resolve(kernel, &Modules::read(kernel)?, name),
    };
    match (symbol, offset, hex(place)) {
        (Some(symbol), Some(offset), _) => Ok(symbol.plus(offset)),
        (None, _, Some(address)) => Ok(VirtAddr(address)),
        _ => Err(nothing_so(
            &kernel.diag,
            format!(
                "{place:?} is neither an address in hexadecimal nor a symbol of the kernel or of a loaded module"
            ),
        )),
    }
}
