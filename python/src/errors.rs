//! The library's errors as a small hierarchy of exceptions.

use std::fmt::Display;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use vmleak::cli::ask::AskError;

pyo3::create_exception!(vmleak, Error, PyException, "What vmleak raises.");
pyo3::create_exception!(
    vmleak,
    OpenError,
    Error,
    "The dump or its types can't be opened."
);
pyo3::create_exception!(
    vmleak,
    UsageError,
    Error,
    "It can't be asked so, or of what this dump does not have."
);
pyo3::create_exception!(
    vmleak,
    UnsupportedError,
    Error,
    "This kernel does not have what the command is about."
);
pyo3::create_exception!(
    vmleak,
    AnswerError,
    Error,
    "Memory that the answer needs is missing or broken."
);

pub(crate) fn open(error: &vmleak::open::OpenError) -> PyErr {
    OpenError::new_err(vmleak::render::printable(&error.to_string()))
}

pub(crate) fn ask(error: &AskError) -> PyErr {
    match error {
        AskError::Usage(message) => UsageError::new_err(message.clone()),
        AskError::Unsupported(message) => UnsupportedError::new_err(message.clone()),
        other => AnswerError::new_err(other.to_string()),
    }
}

pub(crate) fn usage(message: impl Display) -> PyErr {
    UsageError::new_err(message.to_string())
}

/// Rows that make no table.
pub(crate) fn arrow(error: impl Display) -> PyErr {
    AnswerError::new_err(format!("the rows make no table: {error}"))
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", py.get_type::<Error>())?;
    module.add("OpenError", py.get_type::<OpenError>())?;
    module.add("UsageError", py.get_type::<UsageError>())?;
    module.add("UnsupportedError", py.get_type::<UnsupportedError>())?;
    module.add("AnswerError", py.get_type::<AnswerError>())
}
