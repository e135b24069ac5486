//! Lists the connections that a machine tracked: `connections VMCORE [VMLINUX]`.

use std::error::Error;
use std::io::Write;
use std::ops::ControlFlow;

use vmleak::kernel::modules::Modules;
use vmleak::open::Options;
use vmleak::render::conntrack::proc_line;
use vmleak::subsys::net::conntrack::Conntrack;

fn main() -> Result<(), Box<dyn Error>> {
    let mut opened = vmleak::open(Options::new(std::env::args_os().skip(1)))?;
    let modules = Modules::read(&opened.kernel)?;
    opened.add_module_types(&modules, &["nf_conntrack"])?;
    let conntrack = Conntrack::open(&opened.kernel, &(&opened.kernel, &modules))?;
    let now = conntrack.clock().now;
    let mut out = std::io::stdout().lock();
    let walk = conntrack.table.walk(
        Vec::new,
        |lines, entry| proc_line(lines, entry, now).unwrap_or_default(),
        |lines| match out.write_all(&lines) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        },
    );
    eprintln!("{} connections, all: {}", walk.entries, walk.is_complete());
    Ok(())
}
