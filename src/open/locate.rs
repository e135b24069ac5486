//! Where a dump's vmlinux lies.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Options, debuginfod};
use crate::dump::VmcoreInfo;
use crate::types::{DebugFile, build_id_of};

/// Looks for the dump's vmlinux: by build-id, then by release, under each debug directory, then
/// where kernels are installed and built, then beside the dump. Returns the places looked at if
/// there is none.
pub(super) fn find_vmlinux(
    options: &Options,
    info: &VmcoreInfo,
    dump: &Path,
) -> Result<PathBuf, Vec<PathBuf>> {
    let mut looked = Vec::new();
    for path in candidates(options, info, dump) {
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
    // An unpacked package, as `rpm2cpio` and `dpkg-deb -x` leave it.
    let within = roots.iter().map(|root| root.join("usr/lib/debug"));
    let within: Vec<PathBuf> = within.filter(|root| root.is_dir()).collect();
    roots.extend(within);
    roots
}

/// The file that has the debug information of `file`: itself, or the one that it was split off to
/// (`objcopy --only-keep-debug`, `eu-strip -f`), known by its build-id, or by the sum that the
/// link states.
pub(super) fn with_debug_info(options: &Options, file: DebugFile) -> DebugFile {
    if file.has_debug_info() {
        return file;
    }
    let link = file.split_to();
    let is_it = |other: &DebugFile| match (file.build_id(), other.build_id()) {
        (Some(own), Some(found)) => own == found,
        _ => link.as_ref().is_some_and(|(_, sum)| other.crc() == *sum),
    };
    let found = split_off(options, &file, link.as_ref().map(|(name, _)| name.as_str()))
        .into_iter()
        .filter(|path| path.is_file())
        .filter_map(|path| DebugFile::open_with(&path, options.access()).ok())
        .find(|other| other.has_debug_info() && is_it(other));
    found.unwrap_or(file)
}

/// Where the debug information of a stripped file may lie, as debuggers look for it.
fn split_off(options: &Options, file: &DebugFile, link: Option<&str>) -> Vec<PathBuf> {
    let roots = debug_directories(options);
    let mut paths = Vec::new();
    if let Some((first, rest)) = file.build_id().and_then(|id| id.split_at_checked(2)) {
        let below = |root: &PathBuf| root.join(format!(".build-id/{first}/{rest}.debug"));
        paths.extend(roots.iter().map(below));
    }
    let path = std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_owned());
    let (Some(folder), Some(own)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return paths;
    };
    // SUSE packs the one and not the other.
    let bare = [".gz", ".xz", ".zst"]
        .iter()
        .find_map(|end| own.strip_suffix(end));
    let beside = format!("{}.debug", bare.unwrap_or(own));
    let plain = |name: &&str| !name.contains('/');
    for name in link.iter().copied().filter(plain).chain([beside.as_str()]) {
        paths.push(folder.join(name));
        paths.push(folder.join(".debug").join(name));
        let inside = folder.strip_prefix("/").unwrap_or(folder);
        paths.extend(roots.iter().map(|root| root.join(inside).join(name)));
    }
    paths
}

fn candidates(options: &Options, info: &VmcoreInfo, dump: &Path) -> Vec<PathBuf> {
    let roots = debug_directories(options);
    let mut paths = Vec::new();
    for root in &roots {
        if let Some((first, rest)) = info.build_id().and_then(|id| id.split_at_checked(2)) {
            paths.push(root.join(format!(".build-id/{first}/{rest}.debug")));
        }
        if let Some(release) = info.release().filter(|release| !release.contains('/')) {
            paths.push(root.join(format!("boot/vmlinux-{release}")));
            paths.push(root.join(format!("boot/vmlinux-{release}.debug")));
            for modules in ["lib/modules", "usr/lib/modules"] {
                paths.push(root.join(format!("{modules}/{release}/vmlinux")));
                paths.push(root.join(format!("{modules}/{release}/vmlinux.debug")));
            }
        }
    }
    if let (false, Some(release)) = (options.no_default_debug_directories, info.release()) {
        paths.push(format!("/boot/vmlinux-{release}").into());
        paths.push(format!("/boot/vmlinux-{release}.gz").into());
        paths.push(format!("/lib/modules/{release}/build/vmlinux").into());
        paths.push(format!("/lib/modules/{release}/vmlinux").into());
    }
    if !options.no_default_debug_directories {
        paths.extend(beside(info, dump.parent().unwrap_or(dump)));
    }
    paths
}

/// What people put into the folder of a dump. Where the dump has no build-id, only a name with the
/// release tells that it is this kernel's.
fn beside(info: &VmcoreInfo, folder: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    if let Some(release) = info.release().filter(|release| !release.contains('/')) {
        names.push(format!("vmlinux-{release}"));
        names.push(format!("vmlinux-{release}.debug"));
    }
    if info.build_id().is_some() {
        names.extend(["vmlinux", "vmlinux.debug"].map(str::to_owned));
    }
    names.iter().map(|name| folder.join(name)).collect()
}
