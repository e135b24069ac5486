//! `System.map`: the symbols of a kernel as text, which distributions install in /boot.
//!
//! Lines of `address type name` (nm's form), sorted by address as linked.

use std::path::Path;

use super::TypeError;
use super::symbols::{Symbol, SymbolOrigin, SymbolTable};
use crate::dump::{Access, WholeFile};

/// The largest kernels have some 300,000 symbols in 20 MB.
const MAX_BYTES: u64 = 1 << 30;

/// Whether a file looks like one by its first line.
pub fn is_system_map(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 64];
    let read = path.is_file().then(|| std::fs::File::open(path));
    let len = match read {
        Some(Ok(mut file)) => file.read(&mut start).unwrap_or(0),
        _ => 0,
    };
    let start = start.get(..len).unwrap_or_default();
    let line = start.split(|byte| *byte == b'\n').next();
    line.is_some_and(|line| parse(line).is_some())
}

fn parse(line: &[u8]) -> Option<(u64, bool, &[u8])> {
    let (address, rest) = line.split_at_checked(16)?;
    let address = u64::from_str_radix(std::str::from_utf8(address).ok()?, 16).ok()?;
    match rest {
        [b' ', kind, b' ', name @ ..] if !name.is_empty() => {
            Some((address, kind.is_ascii_uppercase(), name))
        }
        _ => None,
    }
}

impl SymbolTable {
    /// Reads a System.map.
    ///
    /// # Errors
    /// If the file can't be read, or has a line of another form.
    pub fn from_system_map(path: &Path) -> Result<Self, TypeError> {
        let bad = |why: String| TypeError::BadSystemMap {
            path: path.display().to_string(),
            why,
        };
        let len = std::fs::metadata(path).map_or(0, |meta| meta.len());
        if len > MAX_BYTES {
            return Err(bad("it is too large".to_owned()));
        }
        // Gone through once: there is no need to map it.
        let file = WholeFile::open(path, Access::Read)?;
        Self::parse_system_map(path, file.bytes())
    }

    /// As [`from_system_map`](Self::from_system_map), of a file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// As there.
    pub fn parse_system_map(path: &Path, text: &[u8]) -> Result<Self, TypeError> {
        let bad = |why: String| TypeError::BadSystemMap {
            path: path.display().to_string(),
            why,
        };
        let mut symbols = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let (address, global, name) = parse(line)
                .ok_or_else(|| bad(format!("line {} is not `address type name`", number + 1)))?;
            symbols.push(Symbol::new(name, address, global));
        }
        let table = Self::new(SymbolOrigin::SystemMap, symbols);
        if table.address("_stext").is_none() {
            // Debian installs one line that says where the true file is.
            let stub = text.len() < 200 && memchr::memmem::find(text, b"-dbg package").is_some();
            return Err(bad(match stub {
                true => "the stub that Debian installs: the true one is in the kernel's -dbg package; leave it out, or give the vmlinux of that package".to_owned(),
                false => "it has no _stext, which every kernel has; is the copy complete?".to_owned(),
            }));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SymbolOrigin;

    #[test]
    fn lines_of_nm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("System.map");
        std::fs::write(&path, "0000000000000040 A cpu\nffffffff81000000 T _stext\n").unwrap();
        assert!(is_system_map(&path));
        let symbols = SymbolTable::from_system_map(&path).unwrap();
        assert_eq!(symbols.address("_stext"), Some(0xffff_ffff_8100_0000));
        assert_eq!(symbols.origin(), SymbolOrigin::SystemMap);
        std::fs::write(&path, "ffffffff81000000 T _stext\nrubbish\n").unwrap();
        let error = SymbolTable::from_system_map(&path).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        std::fs::write(&path, "\x7fELF").unwrap();
        assert!(!is_system_map(&path));
    }

    #[test]
    fn a_map_without_the_kernel_is_refused() {
        let error = |text: &[u8]| {
            let table = SymbolTable::parse_system_map(Path::new("System.map"), text);
            table.unwrap_err().to_string()
        };
        let stub =
            b"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n";
        assert!(error(stub).contains("the stub that Debian installs"));
        assert!(error(b"0000000000000040 A cpu\n").contains("no _stext"));
        assert!(error(b"").contains("no _stext"));
    }
}
