//! `info --save-profile FILE`: the types and symbols of this run's kernel as a file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use vmleak::kernel::asked;
use vmleak::kernel::modules::Modules;
use vmleak::space::boot::Fact;
use vmleak::types::ProfileIdentity;

use super::args::Common;
use super::session::Session;

/// Whose types a profile holds beside the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModulesOf {
    /// Those that any dump of this kernel may need.
    Kernel,
    /// Of one dump: those that filter packets, too.
    Bundle,
}

/// Writes the profile; `false` if the types of a loaded module are missing in it.
pub(crate) fn write(
    session: &mut Session,
    common: &Common,
    path: &Path,
    of: ModulesOf,
) -> Result<bool> {
    if session.debug.is_profile() {
        bail!("--save-profile: the types are those of a profile already; copy that file");
    }
    // A profile has the types that were asked for, and every command asks for these.
    session.run();
    let modules = Modules::read(&session.kernel)?;
    let mut held = BTreeMap::new();
    let mut whole = true;
    for module in asked::MODULES.iter().filter_map(|name| modules.find(name)) {
        match session.add_module_types(&modules, common, &[&module.name]) {
            Ok(()) => {
                held.insert(module.name.clone(), module.build_id.clone());
            }
            Err(error) => {
                whole = false;
                session.kernel.diag.warn(
                    "profile-module",
                    format!(
                        "the profile is without the module {}: {error:#}",
                        module.name
                    ),
                );
            }
        }
    }
    let filters = asked::RULE_MODULES
        .iter()
        .filter(|_| of == ModulesOf::Bundle);
    for module in filters.filter_map(|name| modules.find(name)) {
        // Of those without types `rules` shows bytes, and says so.
        if session
            .add_module_types(&modules, common, &[&module.name])
            .is_ok()
        {
            held.insert(module.name.clone(), module.build_id.clone());
        }
    }
    let kernel = &session.kernel;
    let boot = kernel.space.boot();
    let fact = |fact: &Option<Fact<String>>| fact.as_ref().map(|fact| fact.value.clone());
    let identity = ProfileIdentity {
        release: fact(&boot.release),
        build_id: fact(&boot.build_id),
        arch: boot.arch.name().to_owned(),
        types_from: kernel.types.origin().to_owned(),
        symbols_from: None,
        modules: held,
    };
    let symbols = Some((kernel.symbol_table(), Some(boot)));
    let bytes = asked::profile(&kernel.types, symbols, identity)?;
    std::fs::write(path, bytes).with_context(|| {
        let path = path.display();
        format!("{path}: can't write the profile there; name another file")
    })?;
    Ok(whole)
}
