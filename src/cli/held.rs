//! How long a kernel is held: to the end of the process, or as long as a question is asked.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use vmleak::kernel::Kernel;

/// The kernel of a session.
pub(crate) enum Held {
    /// The process ends with it, so that it is not taken apart piece by piece.
    ToTheEnd(ManuallyDrop<Kernel>),
    /// The process goes on.
    OfAQuestion(Box<Kernel>),
}

impl Held {
    /// Held as this one is.
    pub(crate) fn question(&self) -> Self {
        let kernel = Kernel::question(self);
        match self {
            Self::ToTheEnd(_) => Self::ToTheEnd(ManuallyDrop::new(kernel)),
            Self::OfAQuestion(_) => Self::OfAQuestion(Box::new(kernel)),
        }
    }
}

impl Deref for Held {
    type Target = Kernel;

    fn deref(&self) -> &Kernel {
        match self {
            Self::ToTheEnd(kernel) => kernel,
            Self::OfAQuestion(kernel) => kernel,
        }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Kernel {
        match self {
            Self::ToTheEnd(kernel) => kernel,
            Self::OfAQuestion(kernel) => kernel,
        }
    }
}
