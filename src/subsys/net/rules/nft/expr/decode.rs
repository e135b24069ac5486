//! From the bytes of expressions to [`Expr`]s.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::super::super::hex::Hex;
use super::super::names::Names;
use super::kinds::Kind;
use super::layouts::{OpsLayout, TypeLayout};
use super::plain::{Private, acts, loads, tests};
use super::{Expr, named};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::Kernel;
use crate::kernel::layout::{Field, LayoutError};

/// `struct nft_expr` is a pointer to its ops, and the private structure behind it.
const HEADER: usize = 8;
/// NFT_RULE_MAXEXPRS.
const MAX_EXPRS: usize = 128;
/// An expression has a place in a rule, whose length has 12 bits.
const MAX_SIZE: u64 = 4 << 10;
/// NFT_MATCH_LARGE_THRESH: larger ones lie behind a pointer.
const LARGE: u64 = 192;
/// XT_MAX_TABLE_SIZE is far above what any match has.
const MAX_INFO: u64 = 4 << 10;

/// One kind of expressions, by its ops.
#[derive(Debug)]
struct Known {
    name: String,
    size: usize,
    kind: Kind,
    /// `ops->data`: the `xt_match` or `xt_target`.
    extension: VirtAddr,
}

/// Decodes expressions; what kinds there are is looked up once each.
#[derive(Debug)]
pub(in super::super) struct Decoder<'k> {
    pub(in super::super) names: Names<'k>,
    ops: OpsLayout,
    kind: TypeLayout,
    known: RefCell<FxHashMap<VirtAddr, Option<Rc<Known>>>>,
}

impl<'k> Decoder<'k> {
    pub(in super::super) fn new(names: Names<'k>) -> Result<Self, LayoutError> {
        Ok(Self {
            ops: names.kernel.layout()?,
            kind: names.kernel.layout()?,
            known: RefCell::default(),
            names,
        })
    }

    fn kernel(&self) -> &'k Kernel {
        self.names.kernel
    }

    /// The expressions that `bytes` hold one after another, and whether that is all of them.
    pub(in super::super) fn all(&self, bytes: &[u8]) -> (Vec<Expr>, bool) {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER) {
            let Some((expr, size)) = self.one(rest, 0) else {
                return (found, false);
            };
            found.push(expr);
            at += size;
            if found.len() > MAX_EXPRS {
                return (found, false);
            }
        }
        (found, at == bytes.len())
    }

    /// The expression that lies at an address of its own.
    pub(in super::super) fn at(&self, address: VirtAddr) -> Option<Expr> {
        let head = self.kernel().space.read_bytes(address, HEADER).ok()?;
        let size = self.known(VirtAddr(u64_at(&head, 0)?))?.size;
        let bytes = self.kernel().space.read_bytes(address, size).ok()?;
        self.one(&bytes, 0).map(|(expr, _)| expr)
    }

    /// The first expression of `bytes`, and its length; `None` if it is none.
    pub(super) fn one(&self, bytes: &[u8], depth: u32) -> Option<(Expr, usize)> {
        let known = self.known(VirtAddr(u64_at(bytes, 0)?))?;
        let private = bytes.get(HEADER..known.size)?;
        Some((self.expr(&known, private, depth), known.size))
    }

    /// What an object holds, of those that are what an expression is too; `ops` is the symbol of its
    /// ops.
    pub(in super::super) fn object(&self, name: &str, ops: &str, data: &[u8]) -> Option<Expr> {
        let known = Known {
            kind: Kind::of(self.kernel(), name, ops).ok()?,
            name: name.to_owned(),
            size: HEADER + data.len(),
            extension: VirtAddr(0),
        };
        Some(self.expr(&known, data, 0))
    }

    fn known(&self, ops: VirtAddr) -> Option<Rc<Known>> {
        if let Some(known) = self.known.borrow().get(&ops) {
            return known.clone();
        }
        let known = self.look_up(ops).map(Rc::new);
        self.known.borrow_mut().insert(ops, known.clone());
        known
    }

    fn look_up(&self, ops: VirtAddr) -> Option<Known> {
        let space = &self.kernel().space;
        let record = space.read_bytes(ops, self.ops.len).ok()?;
        let size = self.ops.size.get(&record);
        if !(HEADER as u64..=MAX_SIZE).contains(&size) || !size.is_multiple_of(8) {
            return None;
        }
        let kind = VirtAddr(self.ops.kind.get(&record));
        let name = space
            .read_ptr(kind.plus(u64::from(self.kind.name.offset)))
            .ok()?;
        let name = space.read_c_string(name, 64).ok()?;
        let kind = match self.names.symbol(ops) {
            None if Kind::has_variants(&name) => {
                Err("what their operations are called is not known".to_owned())
            }
            symbol => Kind::of(self.kernel(), &name, &symbol.unwrap_or_default())
                .map_err(|error| error.to_string()),
        };
        let kind = kind.unwrap_or_else(|why| {
            self.kernel().diag.warn(
                "rule-types",
                format!("expressions {name} of nf_tables are shown as bytes: {why}"),
            );
            Kind::Unknown
        });
        Some(Known {
            extension: VirtAddr(self.ops.data.get(&record)),
            size: size as usize,
            name,
            kind,
        })
    }

    fn expr(&self, known: &Known, bytes: &[u8], depth: u32) -> Expr {
        let data = Private(bytes);
        let decoded = match &known.kind {
            Kind::Dynset(_) | Kind::Objref | Kind::Inner(_) | Kind::Lookup(_) => {
                self.reference(known, &data, depth)
            }
            Kind::ObjrefMap(_) | Kind::Offload(_) | Kind::Match(_) | Kind::Target(_) => {
                self.reference(known, &data, depth)
            }
            Kind::Counter(_) | Kind::Last(..) | Kind::Log(_) | Kind::Quota(_) => {
                self.stateful(known, &data)
            }
            Kind::Immediate(layout) => self.immediate(layout, &data),
            _ => loads(&known.kind, &data)
                .or_else(|| tests(&known.kind, &data))
                .or_else(|| acts(&known.kind, &data)),
        };
        decoded.unwrap_or_else(|| Expr::Unknown {
            name: known.name.clone(),
            data: Hex(bytes.to_vec()),
        })
    }

    fn immediate(
        &self,
        layout: &super::layouts::ImmediateLayout,
        data: &Private<'_>,
    ) -> Option<Expr> {
        let dreg = data.reg(layout.dreg);
        Some(match dreg.0 {
            0 => Expr::Verdict {
                verdict: self
                    .names
                    .verdict(data.0.get(layout.data.offset as usize..)?)?,
            },
            _ => Expr::Immediate {
                dreg,
                data: data.data(layout.data, data.get(layout.dlen)),
            },
        })
    }

    /// What names something else: a set, an object, another expression.
    fn reference(&self, known: &Known, data: &Private<'_>, depth: u32) -> Option<Expr> {
        let names = &self.names;
        Some(match &known.kind {
            Kind::Lookup(l) => {
                let set = data.pointer(l.set);
                let is_map = match l.dreg_set {
                    Some(field) => data.get(field) != 0,
                    None => names.is_map(set),
                };
                Expr::Lookup {
                    set: names.set(set),
                    sreg: data.reg(l.sreg),
                    dreg: is_map.then(|| data.reg(l.dreg)),
                    inverted: data.get(l.invert) != 0,
                }
            }
            Kind::Dynset(l) => self.dynset(l, data),
            Kind::Objref => {
                let (kind, name) = names.object(VirtAddr(u64_at(data.0, 0)?));
                Expr::Objref { kind, name }
            }
            Kind::ObjrefMap(l) => Expr::ObjrefMap {
                set: names.set(data.pointer(l.set)),
                sreg: data.reg(l.sreg),
            },
            Kind::Offload(l) => Expr::FlowOffload {
                flowtable: names.flowtable(data.pointer(l.flowtable)),
            },
            Kind::Inner(l) if depth == 0 => {
                let inner = data.0.get(l.expr.offset as usize..)?;
                // It has the place of the largest of those that can stand there.
                let (inner, _) = self.one(inner, depth + 1)?;
                Expr::Inner {
                    kind: data.get(l.kind),
                    header_size: data.get(l.header_size),
                    flags: data.get(l.flags),
                    inner: Box::new(inner),
                }
            }
            Kind::Match(l) => self.extension(known, data, (l.name, l.revision, l.size), true)?,
            Kind::Target(l) => self.extension(known, data, (l.name, l.revision, l.size), false)?,
            _ => return None,
        })
    }

    fn dynset(&self, l: &super::layouts::DynsetLayout, data: &Private<'_>) -> Expr {
        let pointers: Vec<VirtAddr> = match (l.exprs, l.expr_count, l.expr) {
            (Some(array), Some(count), _) => (0..data.get(count).min(2) as usize)
                .filter_map(|index| u64_at(data.0, array.offset as usize + index * 8))
                .map(VirtAddr)
                .collect(),
            (.., Some(expr)) => vec![data.pointer(expr)],
            _ => Vec::new(),
        };
        let pointers = pointers.into_iter().filter(|at| !at.is_null());
        Expr::Dynset {
            op: named(&["add", "update", "delete"], u64::from(data.get(l.op))),
            set: self.names.set(data.pointer(l.set)),
            key: data.reg(l.sreg_key),
            data: data.given(l.sreg_data),
            timeout_ms: self.names.milliseconds(data.word(l.timeout)),
            inverted: data.get(l.invert) != 0,
            exprs: pointers.filter_map(|at| self.at(at)).collect(),
        }
    }

    /// A match or target of x_tables.
    fn extension(
        &self,
        known: &Known,
        data: &Private<'_>,
        (name, revision, size): (Field, Field, Field),
        is_match: bool,
    ) -> Option<Expr> {
        let space = &self.kernel().space;
        let len = [name, revision, size].iter().map(Field::end).max()?;
        let len = len.max((name.offset + name.size) as usize);
        let record = space.read_bytes(known.extension, len).ok()?;
        let text = record.get(name.offset as usize..)?;
        let text = crate::bytes::c_string(text.get(..name.size as usize)?);
        let revision = revision.get(&record) as u8;
        let size = size.get(&record).min(MAX_INFO);
        let info = match is_match && size > LARGE {
            true => Hex(space
                .read_bytes(VirtAddr(u64_at(data.0, 0)?), size as usize)
                .ok()?),
            false => Hex::part(data.0, 0, size as usize),
        };
        Some(match is_match {
            true => Expr::Match {
                name: text,
                revision,
                info,
            },
            false => Expr::Target {
                name: text,
                revision,
                info,
            },
        })
    }

    /// What keeps a state, here or behind a pointer.
    fn stateful(&self, known: &Known, data: &Private<'_>) -> Option<Expr> {
        let space = &self.kernel().space;
        Some(match &known.kind {
            Kind::Counter(l) => {
                let (packets, bytes) = self.names.counter(data.pointer(l.counter))?;
                Expr::Counter { packets, bytes }
            }
            Kind::Last(l, stamp) => {
                let record = space.read_bytes(data.pointer(l.last), stamp.len).ok()?;
                let set = stamp.set.get(&record) != 0;
                let since = self.names.clock.map(|clock| {
                    self.names
                        .milliseconds(clock.jiffies.wrapping_sub(stamp.jiffies.get(&record)))
                });
                Expr::Last {
                    milliseconds_ago: since.filter(|_| set),
                }
            }
            Kind::Log(l) => {
                let prefix = data.pointer(l.prefix);
                let prefix = space.read_c_string(prefix, 128).ok()?;
                let is_group = data.get(l.kind) != 0;
                Expr::Log {
                    prefix: Some(prefix).filter(|text| !text.is_empty()),
                    level: (!is_group).then(|| data.get(l.level) as u8),
                    flags: if is_group { 0 } else { data.get(l.flags) },
                    group: is_group.then(|| data.get(l.group) as u16),
                    snaplen: if is_group { data.get(l.snaplen) } else { 0 },
                    threshold: if is_group {
                        data.get(l.threshold) as u16
                    } else {
                        0
                    },
                }
            }
            Kind::Quota(l) => Expr::Quota {
                bytes: data.word(l.quota),
                consumed: match l.in_place {
                    Some(field) => data.word(field),
                    None => space.read_u64(data.pointer(l.consumed)).ok()?,
                },
                flags: data.get(l.flags),
            },
            _ => return None,
        })
    }
}
