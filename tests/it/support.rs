//! Running the command, and finding real dumps.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A run that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs vmleak to its end, or fails the test if it does not come to one.
pub(crate) fn vmleak<S: AsRef<OsStr>>(args: &[S]) -> Output {
    finish(Command::new(binary()).args(args))
}

/// The command as it was built for the tests, or another build of it (`VMLEAK_BINARY`): an
/// optimised one for what takes long, an older one to see a test fail.
fn binary() -> OsString {
    std::env::var_os("VMLEAK_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_vmleak").into())
}

/// As [`run`], with at most 4 GiB of address space: what would take more fails.
pub(crate) fn run_bounded<S: AsRef<OsStr>>(args: &[S]) -> (i32, String, String) {
    const SCRIPT: &str = "ulimit -v 4194304; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_vmleak")]);
    texts(finish(shell.args(args)))
}

fn finish(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vmleak starts");
    let stdout = drain(child.stdout.take().expect("stdout is piped"));
    let stderr = drain(child.stderr.take().expect("stderr is piped"));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("vmleak can be waited for") {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            let _ = child.kill();
            panic!("vmleak hangs: {command:?}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    Output {
        status,
        stdout: stdout.join().expect("stdout is read"),
        stderr: stderr.join().expect("stderr is read"),
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("the pipe reads");
        bytes
    })
}

/// The exit code, and both streams as text.
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> (i32, String, String) {
    texts(vmleak(args))
}

fn texts(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output
        .status
        .code()
        .expect("vmleak is not killed by a signal");
    (code, text(&output.stdout), text(&output.stderr))
}

/// The JSON document of `slabs` and the exit code.
pub(crate) fn slabs_json(files: &[&Path], more: &[&str]) -> (i32, Value) {
    let mut args: Vec<&OsStr> = ["slabs", "--format", "json"].map(OsStr::new).to_vec();
    args.extend(files.iter().map(|path| path.as_os_str()));
    args.extend(more.iter().map(OsStr::new));
    let (code, stdout, stderr) = run(&args);
    let document = serde_json::from_str(&stdout)
        .unwrap_or_else(|error| panic!("{error}: exit {code}, {stderr}"));
    (code, document)
}

/// The document less what differs between forms of one dump: where it lies and how it is stored.
/// The ELF form can't record the dump level.
pub(crate) fn without_form(mut document: Value) -> Value {
    let dump = document["dump"].as_object_mut().expect("a dump object");
    for key in ["path", "format", "dump_level", "source"] {
        dump.remove(key).expect("the contract names it");
    }
    document
}

/// A real dump with what its guest said and what drgn reads from it.
pub(crate) struct RealDump {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) vmcore: PathBuf,
    pub(crate) vmlinux: PathBuf,
}

impl RealDump {
    pub(crate) fn oracle(&self) -> Value {
        read_json(&self.folder.join("oracle.json"))
    }

    pub(crate) fn captured(&self, name: &str) -> String {
        let path = self.folder.join("cap").join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

pub(crate) fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Says on the terminal, past the test harness's capture, what is not being tested, and how many
/// tests have had nothing to look at so far. With `VMLEAK_REQUIRE_DUMPS=1` that fails the test;
/// with names in place of 1, only where these dumps or their debug files are not there.
pub(crate) fn skip(what: &str) {
    static WITHOUT_DATA: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let thread = thread::current();
    let mut without = WITHOUT_DATA.lock().unwrap_or_else(PoisonError::into_inner);
    without.insert(thread.name().unwrap_or_default().to_owned());
    let count = without.len();
    drop(without);
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: {what} ({count} tests passed without all their data so far)"
    );
    let required = std::env::var("VMLEAK_REQUIRE_DUMPS").unwrap_or_default();
    let names = |name: &str| what.starts_with(&format!("{name}: no "));
    assert!(
        required != "1" && !required.split_whitespace().any(names),
        "VMLEAK_REQUIRE_DUMPS: {what}"
    );
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The small dump that comes with the project.
pub(crate) fn small_dump() -> RealDump {
    let folder = repository().join("corpora/small-6.12");
    RealDump {
        name: "small-6.12".into(),
        vmcore: folder.join("vmcore"),
        vmlinux: folder.join("vmlinux"),
        folder,
    }
}

/// A dump that scripts/make-small-dump made of a kernel with other options, beside the real dumps.
pub(crate) fn small_variant(name: &str) -> Option<RealDump> {
    small_dumps(&[name]).into_iter().next()
}

/// Dumps of Debian kernels among the real dumps, with the vmlinux of their debug
/// packages below `VMLEAK_DEBUG` (scripts/fetch-debug puts them there) or /usr/lib/debug.
pub(crate) fn real_dumps(releases: &[&str]) -> Vec<RealDump> {
    let folders = dump_folders();
    let mut found = Vec::new();
    for release in releases {
        let name = format!("debian-{release}");
        let mut places = folders.iter().map(|folder| folder.join(&name));
        let Some((folder, vmcore)) = places.find_map(|at| Some((at.clone(), vmcore_in(&at)?)))
        else {
            skip(&format!("{name}: no such dump (VMLEAK_DUMPS)"));
            continue;
        };
        let kernel = std::fs::read_to_string(folder.join("cap/osrelease")).unwrap_or_default();
        match debug_file(kernel.trim()) {
            Some(vmlinux) => found.push(RealDump {
                name,
                folder,
                vmcore,
                vmlinux,
            }),
            None => skip(&format!(
                "debian-{release}: no vmlinux of {} (scripts/fetch-debug gets it)",
                kernel.trim()
            )),
        }
    }
    found
}

/// The vmcore in the folder of this name among the real dumps.
pub(crate) fn dump_named(name: &str) -> Option<PathBuf> {
    let mut folders = dump_folders().into_iter();
    folders.find_map(|folder| vmcore_in(&folder.join(name)))
}

/// Dumps of small kernels of scripts/make-small-dump, with their own vmlinux.
pub(crate) fn small_dumps(names: &[&str]) -> Vec<RealDump> {
    let mut found = Vec::new();
    for name in names {
        let mut places = dump_folders().into_iter().map(|folder| folder.join(name));
        match places.find_map(|at| Some((at.clone(), vmcore_in(&at)?))) {
            Some((folder, vmcore)) => found.push(RealDump {
                name: (*name).to_owned(),
                vmlinux: folder.join("vmlinux"),
                vmcore,
                folder,
            }),
            None => skip(&format!(
                "{name}: no such dump (scripts/make-small-dump makes it)"
            )),
        }
    }
    found
}

/// `VMLEAK_DUMPS` may name several directories, separated by colons.
fn dump_folders() -> Vec<PathBuf> {
    match std::env::var_os("VMLEAK_DUMPS") {
        Some(folders) => std::env::split_paths(&folders).collect(),
        None => vec![repository().join("../shared/vmcores")],
    }
}

fn vmcore_in(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    // Beside it there may be the text of its note, vmcoreinfo.txt.
    let named = |path: &Path| file_name(path) == "vmcore" || file_name(path).starts_with("vmcore.");
    paths.find(|path| path.is_file() && named(path))
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn debug_file(kernel: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let roots = [
        std::env::var_os("VMLEAK_DEBUG").map(PathBuf::from),
        Some(home.join(".cache/vmleak/debug")),
        Some("/usr/lib/debug".into()),
    ];
    roots
        .into_iter()
        .flatten()
        .flat_map(|root| {
            [
                root.join(format!("boot/vmlinux-{kernel}")),
                root.join(format!("lib/modules/{kernel}/vmlinux")),
            ]
        })
        .find(|path| path.is_file())
}

/// The dump and its vmlinux as arguments.
pub(crate) fn files(dump: &RealDump) -> [&str; 2] {
    [&dump.vmcore, &dump.vmlinux].map(|path| path.to_str().expect("UTF-8"))
}

/// What a command prints of a dump that lacks nothing.
pub(crate) fn printed(dump: &RealDump, command: &str, more: &[&str]) -> String {
    let (code, stdout, stderr) = run(&[&[command], &files(dump)[..], more].concat());
    assert_eq!(code, 0, "{}: {stderr}", dump.name);
    stdout
}

/// A document, or a line of one.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// A number that is there.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}
