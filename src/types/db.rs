//! All type sources of one kernel as one: vmlinux first, then its modules.
//!
//! A name may be defined in several sources, and not always alike. The one whose
//! translation unit is named as the type's home is right, wherever it stands in the
//! order; so all sources are first asked whether they have the home, and only then
//! anything is searched at large.

use std::sync::Arc;

use super::model::{Member, StructType, TypeId, TypeKind};
use super::{TypeError, TypeSource};

/// The types of one kernel, from one or more sources asked in order.
#[derive(Clone, Debug)]
pub struct TypeDb {
    sources: Vec<Arc<dyn TypeSource>>,
}

impl TypeDb {
    /// A database that asks `sources` in order.
    pub fn new(sources: Vec<Box<dyn TypeSource>>) -> Self {
        let sources = sources.into_iter().map(Arc::from).collect();
        Self { sources }
    }

    /// Adds a source behind those there are, a module's debug file for one.
    pub fn add_source(&mut self, source: Box<dyn TypeSource>) {
        self.sources.push(Arc::from(source));
    }

    /// Where the types come from.
    pub fn origin(&self) -> &'static str {
        self.sources
            .first()
            .map_or("none", |source| source.origin())
    }

    /// Whether any source has the translation unit `home`.
    pub fn has_home(&self, home: &str) -> bool {
        self.sources.iter().any(|source| source.has_home(home))
    }

    /// The structure `name` out of the first of `homes` that has it, else from anywhere; `None`
    /// if no source has it. Structures move from file to file, and searching all units is slow.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn find_at_homes(
        &self,
        name: &str,
        homes: &[&str],
    ) -> Result<Option<FoundStruct<'_>>, TypeError> {
        for home in homes {
            for source in self.sources.iter().filter(|source| source.has_home(home)) {
                if let Some(found) = found_in(source.as_ref(), name, home, false)? {
                    return Ok(Some(found));
                }
            }
        }
        let home = homes.first().copied().unwrap_or_default();
        for source in &self.sources {
            if let Some(found) = found_in(source.as_ref(), name, home, true)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The structure `name`, or `None` if no source has it.
    ///
    /// With `everywhere`, or if no source has the unit `home`, all units of all sources are
    /// searched after the home itself.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn find_struct(
        &self,
        name: &str,
        home: &str,
        everywhere: bool,
    ) -> Result<Option<FoundStruct<'_>>, TypeError> {
        let mut has_home = false;
        for source in self.sources.iter().filter(|source| source.has_home(home)) {
            has_home = true;
            if let Some(found) = found_in(source.as_ref(), name, home, false)? {
                return Ok(Some(found));
            }
        }
        if has_home && !everywhere {
            return Ok(None);
        }
        for source in &self.sources {
            if let Some(found) = found_in(source.as_ref(), name, home, everywhere)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The structure `name` as the unit `unit` sees it: `None` where no source has that unit, which is
    /// known without reading the others.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn find_in_unit(
        &self,
        name: &str,
        unit: &str,
    ) -> Result<Option<FoundStruct<'_>>, TypeError> {
        let mut with_it = self.sources.iter().filter(|source| source.has_home(unit));
        let found = with_it.find_map(|one| found_in(one.as_ref(), name, unit, false).transpose());
        found.transpose()
    }

    /// The value of `enumerator` in the enumeration `name`, or `None` if the kernel lacks it.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn enumerator(
        &self,
        name: &str,
        home: &str,
        enumerator: &str,
    ) -> Result<Option<i64>, TypeError> {
        Ok(self.enumeration(name, home)?.and_then(|all| {
            all.into_iter()
                .find(|(known, _)| known == enumerator)
                .map(|(_, value)| value)
        }))
    }

    /// All enumerators of the enumeration `name`; sources that have the unit `home` go first.
    ///
    /// # Errors
    /// If a source is damaged.
    pub fn enumeration(
        &self,
        name: &str,
        home: &str,
    ) -> Result<Option<Vec<(String, i64)>>, TypeError> {
        let (at_home, elsewhere): (Vec<_>, Vec<_>) = self
            .sources
            .iter()
            .partition(|source| source.has_home(home));
        for source in at_home.into_iter().chain(elsewhere) {
            if let Some(all) = source.find_enum(name, home)? {
                return Ok(Some(all));
            }
        }
        Ok(None)
    }
}

fn found_in<'a>(
    source: &'a dyn TypeSource,
    name: &str,
    home: &str,
    everywhere: bool,
) -> Result<Option<FoundStruct<'a>>, TypeError> {
    let Some(id) = source.find_struct(name, home, everywhere)? else {
        return Ok(None);
    };
    let body = source.get_struct(id)?;
    Ok(Some(FoundStruct { body, id, source }))
}

/// A structure together with the source that its members' types refer to.
#[derive(Debug)]
pub struct FoundStruct<'a> {
    /// The structure itself.
    pub body: StructType,
    id: TypeId,
    source: &'a dyn TypeSource,
}

impl<'a> FoundStruct<'a> {
    /// Its identity within [`source`](Self::source).
    pub(super) fn id(&self) -> TypeId {
        self.id
    }

    /// Whose it is.
    pub(super) fn source(&self) -> &'a dyn TypeSource {
        self.source
    }

    /// Follows a dotted path (`kobj.sd`) through embedded structures; the offset is from the
    /// start of this one. `None` if a name on the way does not exist.
    ///
    /// # Errors
    /// If the source is damaged.
    pub fn member(&self, path: &str) -> Result<Option<Member>, TypeError> {
        let mut names = path.split('.');
        let first = names.next().unwrap_or(path);
        let Some(mut member) = self.body.member(first).cloned() else {
            return Ok(None);
        };
        for name in names {
            let TypeKind::Struct(id) = member.ty.kind else {
                return Ok(None);
            };
            let inner = self.source.get_struct(id)?;
            let Some(next) = inner.member(name) else {
                return Ok(None);
            };
            member = Member {
                offset: member.offset.saturating_add(next.offset),
                ..next.clone()
            };
        }
        Ok(Some(member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Knows one structure, in one unit.
    #[derive(Debug)]
    struct Source {
        unit: &'static str,
        name: &'static str,
        size: u32,
    }

    impl TypeSource for Source {
        fn has_home(&self, home: &str) -> bool {
            home == self.unit
        }

        fn find_struct(
            &self,
            name: &str,
            home: &str,
            everywhere: bool,
        ) -> Result<Option<TypeId>, TypeError> {
            // As DWARF does: a source without the home searches all it has.
            let here = everywhere || home == self.unit || !self.has_home(home);
            Ok((here && name == self.name).then_some(TypeId(0)))
        }

        fn get_struct(&self, _: TypeId) -> Result<StructType, TypeError> {
            Ok(StructType {
                size: self.size,
                members: Vec::new(),
            })
        }

        fn find_enum(&self, name: &str, _: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
            Ok((name == self.name).then(|| vec![("SIZE".to_owned(), i64::from(self.size))]))
        }

        fn origin(&self) -> &'static str {
            "test"
        }
    }

    fn kernel_and_module() -> TypeDb {
        let source = |unit, name, size| Box::new(Source { unit, name, size });
        let mut types = TypeDb::new(vec![source("net/socket.c", "nf_conn", 1)]);
        types.add_source(source("net/nf_conntrack_core.c", "nf_conn", 2));
        types.add_source(source("net/nf_nat_core.c", "nf_conn_nat", 3));
        types
    }

    fn size(name: &str, home: &str, everywhere: bool) -> Option<u32> {
        let types = kernel_and_module();
        let found = types.find_struct(name, home, everywhere).unwrap();
        found.map(|found| found.body.size)
    }

    #[test]
    fn the_source_with_the_home_wins_over_those_before_it() {
        assert_eq!(size("nf_conn", "net/nf_conntrack_core.c", true), Some(2));
        assert_eq!(size("nf_conn", "net/nf_conntrack_core.c", false), Some(2));
        assert_eq!(size("nf_conn", "net/socket.c", true), Some(1));
        let types = kernel_and_module();
        let value = |home| types.enumerator("nf_conn", home, "SIZE").unwrap();
        assert_eq!(value("net/nf_conntrack_core.c"), Some(2));
        assert_eq!(value("net/none.c"), Some(1));
    }

    #[test]
    fn a_home_without_the_type_ends_the_search_unless_everywhere() {
        let home = "net/nf_conntrack_core.c";
        assert_eq!(size("nf_conn_nat", home, false), None);
        assert_eq!(size("nf_conn_nat", home, true), Some(3));
        assert_eq!(size("nf_conn_nat", "net/none.c", false), Some(3));
        let types = kernel_and_module();
        let homes = [home, "net/nf_nat_core.c"];
        let moved = types.find_at_homes("nf_conn_nat", &homes).unwrap();
        assert_eq!(moved.map(|found| found.body.size), Some(3));
    }
}
