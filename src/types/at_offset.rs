//! From an offset in a structure to the member there.

use super::db::FoundStruct;
use super::model::{Member, TypeKind};

/// Structures nest a few deep; damaged types may make them circular.
const MAX_DEPTH: u32 = 16;
/// Structures that are read for one offset. Unions ask for some; damaged ones that hold each other
/// could ask for billions.
const MAX_READ: u32 = 256;

/// A member by its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAt {
    /// `f_path.dentry`, `fdtab.fd_array[3]`.
    pub path: String,
    /// The structure that it points to, by name.
    pub points_to: Option<String>,
}

impl FoundStruct<'_> {
    /// The member that begins at `offset`; of a union, the first that points to a structure.
    pub fn member_at(&self, offset: u32) -> Option<MemberAt> {
        let mut left = MAX_READ;
        self.within(&self.body.members, offset, MAX_DEPTH, &mut left)
    }

    fn within(
        &self,
        members: &[Member],
        offset: u32,
        depth: u32,
        left: &mut u32,
    ) -> Option<MemberAt> {
        let mut first = None;
        for member in members {
            let inside = offset.checked_sub(member.offset);
            let Some(inside) = inside.filter(|inside| *inside < member.ty.size) else {
                continue;
            };
            if let Some(found) = self.of_kind(member.ty.kind, inside, depth, left) {
                let found = MemberAt {
                    path: format!("{}{}", member.name, found.path),
                    ..found
                };
                if found.points_to.is_some() {
                    return Some(found);
                }
                first = first.or(Some(found));
            }
        }
        first
    }

    /// The rest of the path, from the start of a member of this kind on.
    fn of_kind(&self, kind: TypeKind, offset: u32, depth: u32, left: &mut u32) -> Option<MemberAt> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TypeKind::Struct(id) => {
                *left = left.checked_sub(1)?;
                let inner = self.source().get_struct(id).ok()?;
                let found = self.within(&inner.members, offset, depth, left)?;
                Some(MemberAt {
                    path: format!(".{}", found.path),
                    ..found
                })
            }
            TypeKind::Array {
                element, stride, ..
            } => {
                let index = offset.checked_div(stride)?;
                let rest = self.element(element, offset % stride, depth, left);
                Some(MemberAt {
                    path: format!("[{index}]{}", rest.as_ref().map_or("", |rest| &rest.path)),
                    points_to: rest.and_then(|rest| rest.points_to),
                })
            }
            TypeKind::Pointer(to) if offset == 0 => Some(MemberAt {
                path: String::new(),
                points_to: to.and_then(|to| self.source().struct_name(to)),
            }),
            _ if offset == 0 => Some(MemberAt {
                path: String::new(),
                points_to: None,
            }),
            _ => None,
        }
    }

    /// Elements that are structures; of others only the index is told.
    fn element(
        &self,
        element: super::TypeId,
        offset: u32,
        depth: u32,
        left: &mut u32,
    ) -> Option<MemberAt> {
        self.source().struct_name(element)?;
        self.of_kind(TypeKind::Struct(element), offset, depth, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{StructType, TypeDb, TypeDesc, TypeError, TypeId, TypeSource};

    /// `outer { long flags; union { void *raw; foo *foo; }; inner in[2]; }`, where
    /// `inner { long key; bar *bar; }`.
    #[derive(Debug)]
    struct Source;

    const INNER: TypeId = TypeId(1);
    const FOO: TypeId = TypeId(2);
    const BAR: TypeId = TypeId(3);

    fn member(name: &str, offset: u32, size: u32, kind: TypeKind) -> Member {
        Member {
            name: name.to_owned(),
            offset,
            bits: None,
            ty: TypeDesc { size, kind },
        }
    }

    impl TypeSource for Source {
        fn find_struct(&self, _: &str, _: &str, _: bool) -> Result<Option<TypeId>, TypeError> {
            Ok(Some(TypeId(0)))
        }

        fn get_struct(&self, id: TypeId) -> Result<StructType, TypeError> {
            let long = TypeKind::Int { signed: true };
            let inner = TypeKind::Array {
                element: INNER,
                stride: 16,
                count: 2,
            };
            let members = match id {
                INNER => vec![
                    member("key", 0, 8, long),
                    member("bar", 8, 8, TypeKind::Pointer(Some(BAR))),
                ],
                _ => vec![
                    member("flags", 0, 8, long),
                    member("raw", 8, 8, TypeKind::Pointer(None)),
                    member("foo", 8, 8, TypeKind::Pointer(Some(FOO))),
                    member("in", 16, 32, inner),
                ],
            };
            Ok(StructType { size: 48, members })
        }

        fn find_enum(&self, _: &str, _: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
            Ok(None)
        }

        fn struct_name(&self, id: TypeId) -> Option<String> {
            let names = [(INNER, "inner"), (FOO, "foo"), (BAR, "bar")];
            let found = names.into_iter().find(|(known, _)| *known == id);
            found.map(|(_, name)| name.to_owned())
        }

        fn origin(&self) -> &'static str {
            "test"
        }
    }

    /// A structure with two members at one place, each itself again.
    #[derive(Debug)]
    struct Circle;

    impl TypeSource for Circle {
        fn find_struct(&self, _: &str, _: &str, _: bool) -> Result<Option<TypeId>, TypeError> {
            Ok(Some(INNER))
        }

        fn get_struct(&self, _: TypeId) -> Result<StructType, TypeError> {
            let again = |name| member(name, 0, 8, TypeKind::Struct(INNER));
            let members = ["a", "b", "c", "d"].map(again).to_vec();
            Ok(StructType { size: 8, members })
        }

        fn find_enum(&self, _: &str, _: &str) -> Result<Option<Vec<(String, i64)>>, TypeError> {
            Ok(None)
        }

        fn origin(&self) -> &'static str {
            "test"
        }
    }

    #[test]
    fn structures_that_hold_themselves_end() {
        let types = TypeDb::new(vec![Box::new(Circle)]);
        let found = types.find_struct("outer", "a.c", false).unwrap().unwrap();
        assert_eq!(found.member_at(0), None);
    }

    #[test]
    fn unions_arrays_and_what_is_inside_of_a_member() {
        let types = TypeDb::new(vec![Box::new(Source)]);
        let found = types.find_struct("outer", "a.c", false).unwrap().unwrap();
        let at = |offset| {
            let member = found.member_at(offset)?;
            Some((member.path, member.points_to))
        };
        let is = |path: &str, to: Option<&str>| Some((path.to_owned(), to.map(str::to_owned)));
        assert_eq!(at(0), is("flags", None));
        assert_eq!(at(8), is("foo", Some("foo")));
        assert_eq!(at(24), is("in[0].bar", Some("bar")));
        assert_eq!(at(32), is("in[1].key", None));
        assert_eq!(at(40), is("in[1].bar", Some("bar")));
        // Not where a member begins, and behind all.
        assert_eq!((at(4), at(48)), (None, None));
    }
}
