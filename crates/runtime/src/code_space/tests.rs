//! Publishing, waste, reuse and limits.

use super::{CodeOwner, CodeSpace, CodeSpaceOptions, PublishedCode};
use crate::arch::x64::tests::libcalls;
use crate::entry_table::EntryTable;
use crate::error::RuntimeErrorKind;
use crate::pc_map::{lookup_pc, lookup_return_pc};
use std::sync::Arc;
use upshift_abi::{
    CallSite, CodeKind, CompiledFunc, InlineFrame, Libcall, Reloc, RelocTarget, SiteIndex, Tier,
};
use upshift_module::{FuncIndex, FuncType, ValType};

fn space(bytes: usize, dual_mapping: bool, quarantine: bool) -> Arc<CodeSpace> {
    let options = CodeSpaceOptions {
        reserve_bytes: bytes,
        dual_mapping,
        quarantine,
        profiler: None,
    };
    CodeSpace::new(&options, &libcalls()).unwrap()
}

/// Code of so many bytes, which end with a call.
fn code(func: u32, bytes: usize) -> CompiledFunc {
    let byte = u8::try_from(func % 200).unwrap();
    let end = u32::try_from(bytes).unwrap();
    CompiledFunc {
        func: FuncIndex(func),
        tier: Tier::Optimizing,
        kind: CodeKind::Entry,
        code: vec![byte; bytes],
        text_bytes: end,
        align: 16,
        relocs: Vec::new(),
        traps: Vec::new(),
        calls: vec![CallSite {
            return_offset: end,
            wasm_offset: func,
            frame: InlineFrame::FUNC,
        }],
        stack_maps: Vec::new(),
        frame_bytes: 0,
        inlined: Vec::new(),
    }
}

fn publish(space: &Arc<CodeSpace>, table: &EntryTable, code: &CompiledFunc) -> PublishedCode {
    let published = space.publish(code, table, CodeOwner(9)).unwrap();
    assert!(published.entry().addr().is_multiple_of(code.align as usize));
    published
}

fn read(code: &PublishedCode) -> &'static [u8] {
    // SAFETY: rule CODE: published code is readable; tests look at it while it is there.
    unsafe { std::slice::from_raw_parts(code.entry().as_ptr(), code.code_bytes() as usize) }
}

/// Sizes like those of real modules: mostly short, a few very long; the same every time.
fn sizes(count: usize) -> impl Iterator<Item = usize> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let scale = 24 << (state % 16 * (state >> 8 & 15) / 28);
        let scale: u64 = scale;
        usize::try_from(scale + (state >> 20) % scale).unwrap()
    })
}

#[test]
fn one_at_a_time_wastes_under_thirty_percent() {
    for dual_mapping in [true, false] {
        let space = space(256 << 20, dual_mapping, false);
        let count = if dual_mapping { 50_000 } else { 3000 };
        let table = space.entry_table(count, 3).unwrap();
        let mut total = 0;
        for (func, bytes) in (3..).zip(sizes(count as usize)) {
            total += bytes;
            let _leaked = publish(&space, &table, &code(func, bytes));
        }
        let stats = space.stats();
        assert_eq!(stats.published_bytes(Tier::Optimizing), total);
        let waste = stats.committed_bytes - stats.live_bytes;
        assert!(waste * 100 < stats.committed_bytes * 30, "{stats:?}");
        assert!(
            waste * 100 < stats.committed_bytes * 10,
            "far better in fact: {stats:?}"
        );
    }
}

#[test]
fn code_is_found_until_it_is_freed_and_then_reused() {
    for (dual_mapping, quarantine) in [(true, false), (true, true), (false, false)] {
        let space = space(16 << 20, dual_mapping, quarantine);
        let table = space.entry_table(4000, 0).unwrap();
        let before = space.stats();
        for round in 0..4 {
            let codes: Vec<PublishedCode> = (0..)
                .zip(sizes(1500))
                .map(|(func, bytes)| publish(&space, &table, &code(func, bytes)))
                .collect();
            for code in &codes {
                let start = code.entry().addr();
                let end = start + code.code_bytes() as usize;
                for pc in [start, start + (end - start) / 2, end - 1] {
                    let found = lookup_pc(pc).unwrap();
                    assert_eq!((found.func, found.owner), (code.func(), CodeOwner(9)));
                    assert_eq!(found.wasm_offset, None);
                }
                let call = lookup_return_pc(end).unwrap();
                assert_eq!(
                    (call.func, call.wasm_offset),
                    (code.func(), Some(code.func().0))
                );
                let byte = u8::try_from(code.func().0 % 200).unwrap();
                assert!(read(code).iter().all(|&b| b == byte), "round {round}");
            }
            for code in codes {
                let (start, bytes) = (code.entry().addr(), read(&code));
                // SAFETY: rule CODE: nobody ever ran it.
                unsafe { space.free(code) };
                assert_eq!(lookup_pc(start), None);
                assert!(bytes.iter().all(|&b| b == 0xcc));
            }
        }
        let after = space.stats();
        assert_eq!(after.live_bytes, before.live_bytes);
        let one_round: usize = sizes(1500).sum();
        let grown = after.committed_bytes - before.committed_bytes;
        assert_eq!(grown > 2 * one_round, quarantine, "{after:?}");
    }
}

#[test]
fn full_is_an_error_of_kind_resource_and_freeing_helps() {
    let space = space(1 << 20, true, false);
    let table = space.entry_table(1000, 0).unwrap();
    let mut codes = Vec::new();
    let error = loop {
        match space.publish(&code(1, 10_000), &table, CodeOwner(0)) {
            Ok(code) => codes.push(code),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), RuntimeErrorKind::Resource);
    assert!(codes.len() > 80);
    // SAFETY: rule CODE: nobody ever ran it.
    codes.drain(..).for_each(|code| unsafe { space.free(code) });
    assert!(
        space
            .publish(&code(1, 500_000), &table, CodeOwner(0))
            .is_ok()
    );
    let error = space.entry_table(100_000, 0).unwrap_err();
    assert_eq!(error.kind(), RuntimeErrorKind::Resource);
}

#[test]
fn bad_code_is_an_error() {
    let space = space(16 << 20, true, false);
    let table = space.entry_table(10, 5).unwrap();
    let reloc = |offset, target| CompiledFunc {
        relocs: vec![Reloc {
            offset,
            target,
            addend: -4,
        }],
        ..code(6, 64)
    };
    let slot = |func| RelocTarget::EntrySlot(FuncIndex(func));
    let cases = [
        (reloc(60, slot(5)), true),
        (reloc(0, slot(14)), true),
        (reloc(0, RelocTarget::Libcall(Libcall::TableGrow)), true),
        (reloc(61, slot(5)), false),
        (reloc(u32::MAX, slot(5)), false),
        (reloc(0, slot(4)), false),
        (reloc(0, slot(15)), false),
        (code(6, 0), false),
        (
            CompiledFunc {
                align: 24,
                ..code(6, 8)
            },
            false,
        ),
        (
            CompiledFunc {
                align: 64,
                ..code(6, 8)
            },
            true,
        ),
    ];
    for (i, (code, good)) in cases.into_iter().enumerate() {
        let result = space.publish(&code, &table, CodeOwner(0));
        assert_eq!(result.is_ok(), good, "case {i}");
    }
}

#[test]
fn relocations_reach_slots() {
    let space = space(64 << 20, true, false);
    let table = space.entry_table(10, 5).unwrap();
    let mut code = code(6, 64);
    code.relocs = vec![Reloc {
        offset: 8,
        target: RelocTarget::EntrySlot(FuncIndex(14)),
        addend: -4,
    }];
    let published = publish(&space, &table, &code);
    let field = i32::from_le_bytes(read(&published)[8..12].try_into().unwrap());
    let next = published.entry().addr() + 12;
    assert_eq!(
        next.wrapping_add_signed(field as isize),
        table.slot(9).addr()
    );
}

/// What a direct call finds: the tier of the callee's code, the callee, who calls, where the call leads. The caller is function 6 too.
type DirectCall = (Option<Tier>, u32, (Tier, CodeKind), Option<&'static str>);

const DIRECT_CALLS: &[DirectCall] = {
    use Tier::{Baseline as B, Optimizing as O};
    const ENTRY: (Tier, CodeKind) = (O, CodeKind::Entry);
    const LOOP: (Tier, CodeKind) = (O, CodeKind::Osr(SiteIndex(1)));
    &[
        (None, 7, ENTRY, Some("stub")),
        (Some(B), 7, ENTRY, Some("stub")),
        (Some(O), 7, ENTRY, Some("slot")),
        (Some(O), 7, LOOP, Some("slot")),
        (None, 6, ENTRY, Some("itself")),
        (Some(B), 6, ENTRY, Some("itself")),
        (Some(B), 6, LOOP, Some("stub")),
        (Some(O), 6, LOOP, Some("slot")),
        (None, 6, (B, CodeKind::Entry), Some("stub")),
        // An import, and a function that is not there.
        (None, 4, ENTRY, None),
        (None, 15, ENTRY, None),
    ]
};

#[test]
fn direct_calls_reach_final_code_or_the_lazy_stub() {
    let space = space(64 << 20, true, false);
    for &case in DIRECT_CALLS {
        let (has, callee, (tier, kind), expected) = case;
        let table = space.entry_table(10, 5).unwrap();
        if let Some(tier) = has {
            let code = CompiledFunc {
                tier,
                ..code(callee, 32)
            };
            table.install(callee - 5, &publish(&space, &table, &code));
        }
        let caller = CompiledFunc {
            tier,
            kind,
            relocs: vec![Reloc {
                offset: 20,
                target: RelocTarget::Code(FuncIndex(callee)),
                addend: -4,
            }],
            ..code(6, 64)
        };
        let caller = space.publish(&caller, &table, CodeOwner(9)).ok();
        let leads = caller.map(|caller| {
            let field = i32::from_le_bytes(read(&caller)[20..24].try_into().unwrap());
            let target = (caller.entry().addr() + 24).wrapping_add_signed(field as isize);
            let places = [
                ("itself", caller.entry().addr()),
                ("stub", table.lazy_stub(callee - 5)),
                ("slot", table.load(callee - 5).addr()),
            ];
            places
                .iter()
                .find(|(_, at)| *at == target)
                .map(|(name, _)| *name)
        });
        assert_eq!(leads, expected.map(Some), "{case:?}");
    }
}

#[test]
fn slots_start_lazy_and_stubs_are_shared() {
    let space = space(64 << 20, true, false);
    let before = space.stats().committed_bytes;
    let table = space.entry_table(20_000, 7).unwrap();
    let one = space.stats().committed_bytes;
    let other = space.entry_table(20_000, 7).unwrap();
    assert_eq!(space.stats().committed_bytes, one, "stubs are made once");
    assert!(one - before < 20_480 * 11);
    for defined in [0, 1, 4088, 4089, 4090, 19_999] {
        assert!(table.is_lazy(defined));
        assert_eq!(table.load(defined), other.load(defined));
    }
    let shifted = space.entry_table(1, 8).unwrap();
    assert_eq!(
        shifted.load(0),
        table.load(1),
        "stubs go by index in the module"
    );
    let empty = space.entry_table(0, 0).unwrap();
    assert!(empty.is_empty() && !empty.base().is_null());
}

#[test]
fn host_stubs_are_shared_by_shape() {
    let space = space(64 << 20, true, false);
    let stub = |params: &[ValType], results: &[ValType]| {
        let ty = FuncType::new(params.iter().copied(), results.iter().copied());
        space.host_stub(&ty).unwrap().slot()
    };
    assert_eq!(
        stub(&[ValType::I64], &[ValType::FUNCREF]),
        stub(&[ValType::EXTERNREF], &[ValType::I64])
    );
    assert_ne!(stub(&[ValType::I64], &[]), stub(&[ValType::I32], &[]));
}

#[test]
fn many_spaces_come_and_go() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..50 {
                    let space = space(16 << 20, true, false);
                    let table = space.entry_table(10, 0).unwrap();
                    let code = publish(&space, &table, &code(round % 10, 5000));
                    let pc = code.entry().addr() + 4500;
                    assert_eq!(lookup_pc(pc).unwrap().func, code.func());
                }
            });
        }
    });
}

/// Every mapping of the process that can be executed cannot be written.
#[test]
fn nothing_is_writable_and_executable() {
    for dual_mapping in [true, false] {
        let space = space(16 << 20, dual_mapping, false);
        let table = space.entry_table(10, 0).unwrap();
        let code = publish(&space, &table, &code(3, 5000));
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut found = false;
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let range = words.next().and_then(|range| range.split_once('-'));
            let (low, high) = range.unwrap();
            let access = words.next().unwrap();
            assert!(!(access.contains('w') && access.contains('x')), "{line}");
            let bounds = [low, high].map(|text| usize::from_str_radix(text, 16).unwrap());
            if (bounds[0]..bounds[1]).contains(&code.entry().addr()) {
                assert!(access.starts_with("r-x"), "{line}");
                found = true;
            }
        }
        assert!(found);
    }
}
