//! Names of sysctls by pattern.

use std::fmt;

use crate::cli::names::{glob, is_pattern};

/// A name, the start of one, or one with wildcards.
#[derive(Debug)]
pub(super) struct Pattern(String);

impl Pattern {
    /// In the kernel's own form: dots between parts and slashes within them are exchanged if the
    /// first of both is a slash, as `sysctl` does.
    pub(super) fn new(text: &str) -> Self {
        let text = text.strip_prefix("/proc/sys/").unwrap_or(text);
        let first = text.find(['.', '/']);
        let slashes = first.is_some_and(|at| text.get(at..).is_some_and(|t| t.starts_with('/')));
        let exchanged = |c| match c {
            '/' => '.',
            '.' => '/',
            other => other,
        };
        Self(match slashes {
            true => text.chars().map(exchanged).collect(),
            false => text.to_owned(),
        })
    }

    /// Whether `name` is meant.
    pub(super) fn matches(&self, name: &str) -> bool {
        if is_pattern(&self.0) {
            return glob(self.0.as_bytes(), name.as_bytes());
        }
        let prefix = self.0.strip_suffix('.').unwrap_or(&self.0);
        let rest = name.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_prefixes_and_wildcards() {
        let matches = |pattern: &str, name: &str| Pattern::new(pattern).matches(name);
        for pattern in [
            "net.ipv4.tcp_mem",
            "net.ipv4",
            "net.",
            "net/ipv4/tcp_mem",
            "/proc/sys/net/ipv4/tcp_mem",
            "*tcp*",
            "net.*.tcp_me?",
        ] {
            assert!(matches(pattern, "net.ipv4.tcp_mem"), "{pattern}");
        }
        for pattern in [
            "net.ipv",
            "ipv4",
            "tcp_mem",
            "*.tcp",
            "net.ipv4.tcp_mem.x",
            "?",
        ] {
            assert!(!matches(pattern, "net.ipv4.tcp_mem"), "{pattern}");
        }
        // A dot within a part is a slash in the name.
        assert!(matches(
            "net/ipv4/conf/eth0.1/tag",
            "net.ipv4.conf.eth0/1.tag"
        ));
    }
}
