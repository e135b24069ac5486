//! A vmlinux from the servers of DEBUGINFOD_URLS, by its build-id.
//!
//! Layer: the front door's, below `locate`. Input: a build-id. Output: a file in the cache of
//! `debuginfod-find`, the client of elfutils, which knows proxies, certificates and its own cache:
//! one program less here that talks to a network. Invariants: nothing is asked unless the options
//! say so; what is found is checked as any other vmlinux.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The client.
const PROGRAM: &str = "debuginfod-find";

/// Asks for the debug file with this build-id, which is hexadecimal.
///
/// # Errors
/// What was asked, and why it was in vain, in words.
pub(super) fn find(build_id: &str) -> Result<PathBuf, String> {
    let asked = format!("{PROGRAM} debuginfo {build_id}");
    if build_id.is_empty() || !build_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{asked}: it is no build-id"));
    }
    if std::env::var_os("DEBUGINFOD_URLS").is_none_or(|urls| urls.is_empty()) {
        return Err(format!("{asked}: DEBUGINFOD_URLS names no server"));
    }
    let answer = Command::new(PROGRAM)
        .args(["debuginfo", build_id])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!(
                "{asked}: {error} (it is in the package debuginfod or elfutils-debuginfod-client)"
            )
        })?;
    let path = String::from_utf8_lossy(&answer.stdout);
    match path.trim() {
        path if answer.status.success() && !path.is_empty() => Ok(path.into()),
        _ => {
            let why = String::from_utf8_lossy(&answer.stderr);
            let why = why.lines().last().unwrap_or("nothing was found");
            Err(format!("{asked}: {why}"))
        }
    }
}
