//! Where a dump's vmlinux lies.

use std::path::PathBuf;

use super::{Options, debuginfod};
use crate::dump::VmcoreInfo;
use crate::types::build_id_of;

/// Looks for the dump's vmlinux: by build-id, then by release, under each debug directory, then
/// where kernels are installed and built. Returns the places looked at if there is none.
pub(super) fn find_vmlinux(options: &Options, info: &VmcoreInfo) -> Result<PathBuf, Vec<PathBuf>> {
    let mut looked = Vec::new();
    for path in candidates(options, info) {
        let usable = path.is_file()
            && match (build_id_of(&path, options.access()), info.build_id()) {
                (Some(found), Some(wanted)) => found == wanted,
                (found, _) => found.is_some(),
            };
        if usable {
            return Ok(path);
        }
        looked.push(path);
    }
    match (options.debuginfod, info.build_id()) {
        (true, Some(build_id)) => debuginfod::find(build_id).map_err(|said| {
            looked.push(said.into());
            looked
        }),
        _ => Err(looked),
    }
}

/// Where debug packages put their files: those given first.
pub(super) fn debug_directories(options: &Options) -> Vec<PathBuf> {
    let mut roots = options.debug_directories.clone();
    if !options.no_default_debug_directories {
        roots.push("/usr/lib/debug".into());
    }
    roots
}

fn candidates(options: &Options, info: &VmcoreInfo) -> Vec<PathBuf> {
    let roots = debug_directories(options);
    let mut paths = Vec::new();
    for root in &roots {
        if let Some((first, rest)) = info.build_id().and_then(|id| id.split_at_checked(2)) {
            paths.push(root.join(format!(".build-id/{first}/{rest}.debug")));
        }
        if let Some(release) = info.release().filter(|release| !release.contains('/')) {
            paths.push(root.join(format!("boot/vmlinux-{release}")));
            paths.push(root.join(format!("lib/modules/{release}/vmlinux")));
            paths.push(root.join(format!("lib/modules/{release}/vmlinux.debug")));
        }
    }
    if let (false, Some(release)) = (options.no_default_debug_directories, info.release()) {
        paths.push(format!("/boot/vmlinux-{release}").into());
        paths.push(format!("/lib/modules/{release}/build/vmlinux").into());
        paths.push(format!("/lib/modules/{release}/vmlinux").into());
    }
    paths
}
