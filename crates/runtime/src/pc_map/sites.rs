//! Trap and call sites in about three bytes each.
//!
//! Sites are sorted by offset. Each is stored as differences to the one before: a variable-length number for the
//! offset with one bit that says whether a new trap code follows, and a signed one for the wasm offset. The highest bit of
//! that code says that a new inline frame follows it; code without inlined bodies has none of these. Every 64th
//! site has an anchor with absolute values, so a lookup is a binary search and a short walk, without allocation.

use upshift_abi::{CallSite, InlineFrame, TrapCode, TrapSite};

/// Sites from one anchor to the next.
const ANCHOR_SITES: usize = 64;
/// Bytes that most sites need no more than.
const USUAL_SITE_BYTES: usize = 4;
/// With a trap code: a new inline frame follows. No code is that great.
const NEW_FRAME: u8 = 0x80;

/// What is known at a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Site {
    /// Offset of the operator in the module.
    pub(super) wasm_offset: u32,
    /// Whose body the operator is in.
    pub(super) frame: InlineFrame,
    /// Why the instruction may trap; none for a call.
    pub(super) trap: Option<TrapCode>,
}

/// A compact sorted list of sites.
#[derive(Default, Debug)]
pub(super) struct SiteTable {
    bytes: Box<[u8]>,
    anchors: Box<[Anchor]>,
}

/// The state before the first of 64 sites.
#[derive(Clone, Copy, Default, Debug)]
struct Anchor {
    /// Where the sites start in `bytes`.
    at: u32,
    state: State,
    /// Offset of the first of them.
    first: u32,
}

#[derive(Clone, Copy, Default, Debug)]
struct State {
    offset: u32,
    wasm_offset: u32,
    frame: InlineFrame,
    code: u8,
}

impl SiteTable {
    /// From trap sites, sorted by offset.
    pub(super) fn traps(sites: &[TrapSite]) -> Self {
        Self::encode(sites.iter().map(|site| State {
            offset: site.offset,
            wasm_offset: site.wasm_offset,
            frame: site.frame,
            code: site.code.number(),
        }))
    }

    /// From call sites, sorted by return offset.
    pub(super) fn calls(sites: &[CallSite]) -> Self {
        Self::encode(sites.iter().map(|site| State {
            offset: site.return_offset,
            wasm_offset: site.wasm_offset,
            frame: site.frame,
            code: 0,
        }))
    }

    fn encode(sites: impl ExactSizeIterator<Item = State>) -> Self {
        let mut bytes = Vec::with_capacity(sites.len() * USUAL_SITE_BYTES);
        let mut anchors = Vec::with_capacity(sites.len().div_ceil(ANCHOR_SITES));
        let mut last = State::default();
        for (i, site) in sites.enumerate() {
            debug_assert!(i == 0 || site.offset >= last.offset, "sites are sorted");
            if i % ANCHOR_SITES == 0 {
                anchors.push(Anchor {
                    at: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                    state: last,
                    first: site.offset,
                });
            }
            let moved = site.frame != last.frame;
            let changed = site.code != last.code || moved;
            let delta = u64::from(site.offset.wrapping_sub(last.offset));
            put(&mut bytes, delta << 1 | u64::from(changed));
            if changed {
                bytes.push(site.code | if moved { NEW_FRAME } else { 0 });
            }
            if moved {
                put(&mut bytes, site.frame.0.into());
            }
            let wasm = i64::from(site.wasm_offset) - i64::from(last.wasm_offset);
            put(&mut bytes, (wasm << 1 ^ wasm >> 63).cast_unsigned());
            last = site;
        }
        Self {
            bytes: bytes.into(),
            anchors: anchors.into(),
        }
    }

    /// Size on the heap.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.anchors)
    }

    /// The site at exactly this offset.
    pub(super) fn find(&self, offset: u32) -> Option<Site> {
        let after = self
            .anchors
            .partition_point(|anchor| anchor.first <= offset);
        let anchor = self.anchors.get(after.checked_sub(1)?)?;
        let mut state = anchor.state;
        let mut rest = self.bytes.get(anchor.at as usize..)?;
        for _ in 0..ANCHOR_SITES {
            step(&mut rest, &mut state)?;
            if state.offset >= offset {
                break;
            }
        }
        (state.offset == offset).then_some(Site {
            wasm_offset: state.wasm_offset,
            frame: state.frame,
            trap: TrapCode::from_number(state.code),
        })
    }
}

/// Decodes one site; none at the end.
fn step(rest: &mut &[u8], state: &mut State) -> Option<()> {
    let delta = take(rest)?;
    state.offset = state.offset.wrapping_add(low_half(delta >> 1));
    if delta & 1 != 0 {
        let (&code, tail) = rest.split_first()?;
        *rest = tail;
        state.code = code & !NEW_FRAME;
        if code & NEW_FRAME != 0 {
            state.frame = InlineFrame(low_half(take(rest)?));
        }
    }
    let wasm = take(rest)?;
    let wasm = (wasm >> 1).cast_signed() ^ -((wasm & 1).cast_signed());
    state.wasm_offset = state
        .wasm_offset
        .wrapping_add(low_half(wasm.cast_unsigned()));
    Some(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "differences are taken modulo 2^32"
)]
fn low_half(value: u64) -> u32 {
    value as u32
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Site, SiteTable};
    use upshift_abi::{CallSite, InlineFrame, TrapCode, TrapSite};

    #[test]
    fn finds_exactly_what_was_put_in() {
        let sites: Vec<TrapSite> = (0..1000_u32)
            .map(|i| TrapSite {
                offset: i * 7 + i * i / 50,
                wasm_offset: if i % 3 == 0 {
                    1_000_000 - i
                } else {
                    40 + i * 2
                },
                frame: InlineFrame(if i % 7 < 3 { 0 } else { i * i }),
                code: TrapCode::ALL[i as usize / 100],
            })
            .collect();
        let table = SiteTable::traps(&sites);
        for site in &sites {
            let found = Site {
                wasm_offset: site.wasm_offset,
                frame: site.frame,
                trap: Some(site.code),
            };
            assert_eq!(table.find(site.offset), Some(found));
            assert_eq!(table.find(site.offset + 1), None);
        }
        assert_eq!(table.find(u32::MAX), None);
        assert_eq!(SiteTable::traps(&[]).find(0), None);
    }

    #[test]
    fn three_bytes_per_ordinary_site() {
        let sites: Vec<CallSite> = (0..10_000)
            .map(|i| CallSite {
                return_offset: 20 + i * 13,
                wasm_offset: 5_000_000 + i * 4,
                frame: InlineFrame::FUNC,
            })
            .collect();
        let table = SiteTable::calls(&sites);
        assert!(table.heap_bytes() < 3 * sites.len());
        let found = table.find(20 + 13 * 777).unwrap();
        assert_eq!((found.wasm_offset, found.trap), (5_000_000 + 4 * 777, None));
    }
}
