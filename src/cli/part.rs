//! What a bundle must hold for a command.

use std::sync::{Arc, OnceLock};

use vmleak::dump::Dump;
use vmleak::kernel::KernelError;

/// The command whose reads another one takes, as `bundle --for` names them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part(Arc<OnceLock<&'static str>>);

impl Part {
    pub(super) fn set(&self, part: Option<&'static str>) {
        if let Some(part) = part {
            // One command may run another with the same options: the first is what was asked.
            let _ = self.0.set(part);
        }
    }

    /// Refuses a bundle that does not hold it.
    pub(super) fn is_in(&self, dump: &Dump) -> Result<(), KernelError> {
        self.0.get().map_or(Ok(()), |part| held_in(dump, part))
    }
}

/// Refuses a bundle that was made without what `part` reads.
pub(super) fn held_in(dump: &Dump, part: &'static str) -> Result<(), KernelError> {
    match dump.bundle().filter(|bundle| !bundle.is_for(part)) {
        Some(bundle) => Err(KernelError::NotInBundle {
            what: part,
            commands: bundle.commands.to_owned(),
            remedy: "ask the dump that it was made of, or make another one of that with --for",
        }),
        None => Ok(()),
    }
}
