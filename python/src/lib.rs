//! The native half of the Python package: a dump that is open, and rows as an Arrow stream.
//!
//! Layer: above the library's [`vmleak::cli::ask`]. Input: paths and words from `vmleak/__init__.py`.
//! Output: the bytes that the command line prints; a capsule of the Arrow C stream interface.
//! Invariants: the GIL is released while a dump is read; nothing here knows a command by name.

mod errors;
mod stream;

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};
use vmleak::cli::ask::{self, OpenDump, Status, Value};
use vmleak::open::Options;

/// A dump that is open for questions.
#[pyclass(frozen)]
struct Dump(OpenDump);

#[pymethods]
impl Dump {
    #[new]
    #[pyo3(signature = (files, *, symbols, debug_directories, no_default_debug_directories, types, force, no_mmap, max_memory))]
    #[allow(clippy::too_many_arguments)] // the options of the command line, by name
    fn new(
        py: Python<'_>,
        files: Vec<PathBuf>,
        symbols: Vec<PathBuf>,
        debug_directories: Vec<PathBuf>,
        no_default_debug_directories: bool,
        types: &str,
        force: bool,
        no_mmap: bool,
        max_memory: Option<u64>,
    ) -> PyResult<Self> {
        let mut options = Options::new(files);
        options.symbols = symbols;
        options.debug_directories = debug_directories;
        options.no_default_debug_directories = no_default_debug_directories;
        options.types = types.parse().map_err(errors::usage)?;
        options.force = force;
        options.no_mmap = no_mmap;
        options.max_memory = max_memory;
        let opened = py.detach(|| OpenDump::open(options));
        opened.map(Self).map_err(|error| errors::open(&error))
    }

    /// What a command answers, and whether nothing was missing.
    fn ask<'py>(
        &self,
        py: Python<'py>,
        words: Vec<String>,
        columns: Option<usize>,
    ) -> PyResult<(Bound<'py, PyBytes>, bool)> {
        let answer = py.detach(|| self.0.ask(&words, columns, Vec::new()));
        let answer = answer.map_err(|error| errors::ask(&error))?;
        Ok((
            PyBytes::new(py, &answer.out),
            answer.status == Status::Complete,
        ))
    }

    /// Which dump it is, as JSON.
    fn identity(&self, py: Python<'_>) -> PyResult<String> {
        let identity = py.detach(|| self.0.identity());
        serde_json::to_string(&identity).map_err(errors::arrow)
    }

    /// The rows of a command that has them as lines of JSON, as an Arrow stream.
    fn arrow<'py>(&self, py: Python<'py>, words: Vec<String>) -> PyResult<Bound<'py, PyCapsule>> {
        let answer = py.detach(|| self.0.ask(&words, None, Vec::new()));
        let answer = answer.map_err(|error| errors::ask(&error))?;
        stream::capsule(py, answer.out)
    }
}

/// Lines of JSON as an Arrow stream.
#[pyfunction]
fn arrow_of_lines(py: Python<'_>, lines: Vec<u8>) -> PyResult<Bound<'_, PyCapsule>> {
    stream::capsule(py, lines)
}

/// What can be asked, as JSON: commands with their formats and options.
#[pyfunction]
fn commands() -> String {
    let option = |one: &ask::OptionInfo| {
        let (value, choices) = match &one.value {
            Value::Flag => ("flag", None),
            Value::Number => ("number", None),
            Value::OneOf(choices) => ("text", Some(choices)),
            _ => ("text", None),
        };
        serde_json::json!({
            "name": one.name, "help": one.help, "value": value, "choices": choices,
            "positional": one.positional, "required": one.required, "many": one.many,
        })
    };
    let all = ask::commands().into_iter().map(|one| {
        let options: Vec<_> = one.options.iter().map(option).collect();
        serde_json::json!({
            "name": one.name, "about": one.about, "details": one.details,
            "formats": one.formats, "options": options,
        })
    });
    serde_json::Value::from_iter(all).to_string()
}

#[pymodule]
fn _vmleak(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Dump>()?;
    module.add_function(wrap_pyfunction!(arrow_of_lines, module)?)?;
    module.add_function(wrap_pyfunction!(commands, module)?)?;
    errors::add(module)
}
