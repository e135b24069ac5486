//! From an offset in a structure to the member there.

use super::db::FoundStruct;
use super::model::{Member, TypeKind};

/// Structures nest a few deep; damaged types may make them circular.
const MAX_DEPTH: u32 = 16;

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
        self.within(&self.body.members, offset, MAX_DEPTH)
    }

    fn within(&self, members: &[Member], offset: u32, depth: u32) -> Option<MemberAt> {
        let mut first = None;
        for member in members {
            let inside = offset.checked_sub(member.offset);
            let Some(inside) = inside.filter(|inside| *inside < member.ty.size) else {
                continue;
            };
            if let Some(found) = self.of_kind(member.ty.kind, inside, depth) {
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
    fn of_kind(&self, kind: TypeKind, offset: u32, depth: u32) -> Option<MemberAt> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TypeKind::Struct(id) => {
                let inner = self.source().get_struct(id).ok()?;
                let found = self.within(&inner.members, offset, depth)?;
                Some(MemberAt {
                    path: format!(".{}", found.path),
                    ..found
                })
            }
            TypeKind::Array {
                element, stride, ..
            } => {
                let index = offset.checked_div(stride)?;
                let rest = self.element(element, offset % stride, depth);
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
    fn element(&self, element: super::TypeId, offset: u32, depth: u32) -> Option<MemberAt> {
        self.source().struct_name(element)?;
        self.of_kind(TypeKind::Struct(element), offset, depth)
    }
}
