//! Words among the arguments: which of them are names and which are files, wildcards, and what
//! was meant by a name that nothing has.

use std::path::Path;

use super::args::Common;

/// The word that is no file, and the files: `objects kmalloc-64 VMCORE` and `objects VMCORE
/// kmalloc-64` are the same, as far as the files are there.
pub(crate) fn word_and_files(word: &str, common: &Common) -> (String, Common) {
    let mut common = common.clone();
    if common.asked.is_none() && Path::new(word).exists() {
        let mut others = common.files.iter_mut().filter(|path| !path.exists());
        if let (Some(other), None) = (others.next(), others.next()) {
            let swapped = std::mem::replace(other, word.into());
            return (swapped.to_string_lossy().into_owned(), common);
        }
    }
    (word.to_owned(), common)
}

/// Whether a name has wildcards.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether `name` is what was asked for.
pub(crate) fn matches(asked: &str, name: &str) -> bool {
    match is_pattern(asked) {
        true => glob(asked.as_bytes(), name.as_bytes()),
        false => asked == name,
    }
}

/// `*` is any text, dots included, `?` one character. In time that grows with the product of both
/// lengths at most.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(one) if *one == b'?' || text.get(t) == Some(one) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// So many names are suggested at most.
const SUGGESTED: usize = 3;

/// What to say of the name of a cache that no cache has.
pub(crate) fn no_such_cache<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> String {
    let hint = match similar(asked, names).as_slice() {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    };
    format!("no slab cache is called {asked:?}{hint} (vmleak slabs --all lists them)")
}

/// The names that are a slip or two away, else those that have all of the word in them.
fn similar<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = (asked.chars().count() / 3).min(2);
    let mut found: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let slips = slips(asked, name);
            let contained = asked.len() >= 3 && name.contains(asked);
            match contained {
                _ if slips <= allowed => Some((slips, name)),
                true => Some((usize::MAX, name)),
                false => None,
            }
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    let best = found.first().map_or(0, |(slips, _)| *slips);
    found.retain(|(slips, _)| *slips == best);
    found.truncate(SUGGESTED);
    found.into_iter().map(|(_, name)| name).collect()
}

/// How many characters were left out, added, changed or exchanged with the next one.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let of = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
        for (j, cb) in b.iter().enumerate() {
            let changed = of(&last, j) + usize::from(ca != cb);
            let mut least = changed.min(of(&last, j + 1) + 1).min(of(&row, j) + 1);
            let earlier = i.checked_sub(1).zip(j.checked_sub(1));
            let exchanged =
                |(i, j): &(usize, usize)| a.get(*i) == Some(cb) && b.get(*j) == Some(ca);
            if let Some((_, j)) = earlier.filter(exchanged) {
                least = least.min(of(&before, j) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen() {
        assert_eq!(slips("dentry", "dentry"), 0);
        assert_eq!(slips("dentyr", "dentry"), 1);
        assert_eq!(slips("kmaloc-64", "kmalloc-64"), 1);
        assert_eq!(slips("", "abc"), 3);
    }

    #[test]
    fn names_that_may_have_been_meant() {
        let names = ["kmalloc-64", "kmalloc-96", "dentry", "nf_conntrack", "pid"];
        let similar = |asked| similar(asked, names.into_iter());
        assert_eq!(similar("kmaloc-64"), ["kmalloc-64"]);
        assert_eq!(similar("dentries"), ["dentry"; 0]);
        assert_eq!(similar("dnetry"), ["dentry"]);
        assert_eq!(similar("conntrack"), ["nf_conntrack"]);
        assert_eq!(similar("xyz"), ["pid"; 0]);
    }

    #[test]
    fn wildcards() {
        assert!(matches("kmalloc-*", "kmalloc-64"));
        assert!(!matches("kmalloc-*", "dentry"));
        assert!(matches("dentry", "dentry"));
        assert!(glob(b"*a*a*a*b", b"aaaaaaaaaaaaaaaaaaaaaaaab"));
        assert!(!glob(b"*a*a*a*b", b"aaaaaaaaaaaaaaaaaaaaaaaa"));
    }
}
