//! Which of the files given is the dump, and where its vmlinux lies.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use vmleak::dump::{self, VmcoreInfo};
use vmleak::types::build_id_of;

use super::args::Common;

/// The files of one run, sorted out.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The dump: one file, or the parts of a split set.
    pub(crate) dump: Vec<PathBuf>,
    /// The vmlinux, if one was given.
    pub(crate) vmlinux: Option<PathBuf>,
}

/// Tells dumps from debug files by their magic, whatever their order.
pub(crate) fn sort_out(common: &Common) -> Result<Inputs> {
    let mut dump = Vec::new();
    let mut vmlinux = None;
    for path in &common.files {
        if path.is_dir() {
            dump.push(dump::newest_in_directory(path)?);
        } else if is_vmlinux(path) {
            if let Some(first) = vmlinux.replace(path.clone()) {
                bail!(
                    "two debug files given: {} and {}; give modules' with -s",
                    first.display(),
                    path.display()
                );
            }
        } else {
            // Not a dump either, perhaps: opening it says what is wrong with it.
            dump.push(path.clone());
        }
    }
    if vmlinux.is_none() {
        vmlinux = common
            .symbols
            .iter()
            .find(|path| file_name_starts(path, "vmlinux"))
            .cloned();
    }
    if dump.is_empty() {
        bail!("no dump given, only a debug file; usage: vmleak COMMAND VMCORE [VMLINUX]");
    }
    Ok(Inputs { dump, vmlinux })
}

fn file_name_starts(path: &Path, prefix: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

/// Whether it is a debug file: an ELF file that is no dump.
pub(crate) fn is_vmlinux(path: &Path) -> bool {
    !dump::looks_like_dump(path) && is_elf(path)
}

fn is_elf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    path.is_file()
        && std::fs::File::open(path)
            .and_then(|mut file| file.read_exact(&mut magic))
            .is_ok()
        && magic == *b"\x7fELF"
}

/// Looks for the dump's vmlinux: by build-id, then by release, under each debug directory, then
/// where kernels are installed and built. Returns the places looked at if there is none.
pub(crate) fn find_vmlinux(common: &Common, info: &VmcoreInfo) -> Result<PathBuf, Vec<PathBuf>> {
    let mut looked = Vec::new();
    for path in candidates(common, info) {
        let usable = path.is_file()
            && match (build_id_of(&path, common.access()), info.build_id()) {
                (Some(found), Some(wanted)) => found == wanted,
                (found, _) => found.is_some(),
            };
        if usable {
            return Ok(path);
        }
        looked.push(path);
    }
    Err(looked)
}

/// Where debug packages put their files: those given first.
pub(crate) fn debug_directories(common: &Common) -> Vec<PathBuf> {
    let mut roots = common.debug_directory.clone();
    if !common.no_default_debug_directories {
        roots.push("/usr/lib/debug".into());
    }
    roots
}

fn candidates(common: &Common, info: &VmcoreInfo) -> Vec<PathBuf> {
    let roots = debug_directories(common);
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
    if let (false, Some(release)) = (common.no_default_debug_directories, info.release()) {
        paths.push(format!("/boot/vmlinux-{release}").into());
        paths.push(format!("/lib/modules/{release}/build/vmlinux").into());
        paths.push(format!("/lib/modules/{release}/vmlinux").into());
    }
    paths
}
