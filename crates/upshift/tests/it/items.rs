//! Memories, tables and globals through the API, seen by the guest and the other way round.

use crate::support::{assert_kind, in_each_mode, instance};
use upshift::{
    ErrorKind, Func, Global, GlobalType, Memory, MemoryType, Mutability, Ref, RefType, Store,
    Table, TableType, Val, ValType,
};

const PAGE: usize = 64 << 10;

#[test]
fn memories() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, vec![0_u8; 4]);
        let memory = Memory::new(&mut store, MemoryType::new(1, Some(3))).unwrap();
        let guest = instance(
            &mut store,
            r#"(module (import "" "" (memory 1 3))
                (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
                (func (export "set") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
                (func (export "size") (result i32) (memory.size))
                (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
            &[memory.into()],
        );
        let get = guest.get_typed_func::<u32, u32>(&mut store, "get").unwrap();
        let set = guest
            .get_typed_func::<(u32, u32), ()>(&mut store, "set")
            .unwrap();
        let size = guest.get_typed_func::<(), u32>(&mut store, "size").unwrap();
        let grow = guest
            .get_typed_func::<u32, i32>(&mut store, "grow")
            .unwrap();
        let mut buffer = [0; 3];

        memory.write(&mut store, PAGE - 3, &[1, 2, 3]).unwrap();
        assert_eq!(get.call(&mut store, 65_535).unwrap(), 3);
        assert!(get.call(&mut store, 65_536).is_err());
        for (offset, length) in [
            (PAGE - 2, 3),
            (PAGE + 1, 0),
            (usize::MAX, 3),
            (usize::MAX, 1),
        ] {
            let bytes = &mut buffer[..length];
            assert!(memory.read(&store, offset, bytes).is_err(), "{offset}");
            assert!(memory.write(&mut store, offset, bytes).is_err(), "{offset}");
        }
        memory.write(&mut store, PAGE, &[]).unwrap();

        assert_eq!(memory.grow(&mut store, 1).unwrap(), 1);
        assert_eq!(
            (memory.size(&store), size.call(&mut store, ()).unwrap()),
            (2, 2)
        );
        assert_eq!(grow.call(&mut store, 1).unwrap(), 2);
        assert_eq!(memory.data_size(&store), 3 * PAGE);
        assert_eq!(memory.ty(&store), MemoryType::new(3, Some(3)));
        for pages in [1, 1 << 16, u64::MAX] {
            assert_kind(memory.grow(&mut store, pages), ErrorKind::Limit);
        }
        assert_eq!(grow.call(&mut store, 1).unwrap(), -1);
        set.call(&mut store, (3 * 65_536 - 1, 9)).unwrap();
        assert_eq!(memory.data(&store)[3 * PAGE - 1], 9);
        memory.read(&store, PAGE - 3, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 2, 3]);

        let (bytes, data) = memory.data_and_store_mut(&mut store);
        data[..3].copy_from_slice(&bytes[PAGE - 3..PAGE]);
        bytes[0] = data[2];
        assert_eq!(get.call(&mut store, 0).unwrap(), 3);
        memory.data_mut(&mut store)[1] = 77;
        assert_eq!(get.call(&mut store, 1).unwrap(), 77);
        assert_eq!(store.data(), &[1, 2, 3, 0]);
    });
}

#[test]
fn memory_types_are_checked() {
    let mut store = Store::new(&crate::support::engine(), ());
    for (minimum, maximum, valid) in [
        (0, Some(0), true),
        (2, Some(1), false),
        (0, Some(65_536), true),
        (65_537, None, false),
        (0, Some(65_537), false),
    ] {
        let made = Memory::new(&mut store, MemoryType::new(minimum, maximum));
        assert_eq!(made.is_ok(), valid, "{minimum} {maximum:?}");
    }
    for (minimum, maximum, valid) in [
        (0, Some(0), true),
        (2, Some(1), false),
        (1, Some(u32::MAX), true),
        (u32::MAX, None, false),
    ] {
        let ty = TableType::new(RefType::EXTERNREF, minimum, maximum);
        let made = Table::new(&mut store, ty, Ref::Extern(None));
        assert_eq!(made.is_ok(), valid, "{minimum} {maximum:?}");
    }
}

#[test]
fn tables() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let ty = TableType::new(RefType::FUNCREF, 2, Some(4));
        let one = Func::wrap(&mut store, || 1_i32);
        let two = Func::wrap(&mut store, || 2_i32);
        let table = Table::new(&mut store, ty, one.into()).unwrap();
        let guest = instance(
            &mut store,
            r#"(module (import "" "" (table 2 4 funcref))
                (type $t (func (result i32)))
                (func (export "call") (param i32) (result i32) (call_indirect (type $t) (local.get 0)))
                (func (export "grow") (param funcref i32) (result i32)
                    (table.grow (local.get 0) (local.get 1))))"#,
            &[table.into()],
        );
        let call = guest
            .get_typed_func::<u32, i32>(&mut store, "call")
            .unwrap();
        let grow = guest
            .get_typed_func::<(Option<Func>, u32), i32>(&mut store, "grow")
            .unwrap();
        let is = |store: &mut Store<()>, expected: &[Option<i32>]| {
            assert_eq!(table.size(&*store), expected.len() as u64);
            for (i, expected) in (0..).zip(expected) {
                assert_eq!(call.call(&mut *store, i).ok(), *expected, "element {i}");
            }
        };
        is(&mut store, &[Some(1), Some(1)]);
        table.set(&mut store, 1, two.into()).unwrap();
        is(&mut store, &[Some(1), Some(2)]);
        assert_eq!(table.grow(&mut store, 1, Ref::Func(None)).unwrap(), 2);
        is(&mut store, &[Some(1), Some(2), None]);
        assert_eq!(grow.call(&mut store, (Some(two), 1)).unwrap(), 3);
        is(&mut store, &[Some(1), Some(2), None, Some(2)]);
        assert_kind(table.grow(&mut store, 1, Ref::Func(None)), ErrorKind::Limit);
        table.fill(&mut store, 1, one.into(), 3).unwrap();
        is(&mut store, &[Some(1); 4]);
        for (start, count) in [(4, 1), (2, 3), (u64::MAX, 2), (0, u64::MAX)] {
            assert_kind(
                table.fill(&mut store, start, two.into(), count),
                ErrorKind::Type,
            );
        }
        assert_kind(table.set(&mut store, 4, two.into()), ErrorKind::Type);
        assert_kind(table.set(&mut store, 0, Ref::Extern(None)), ErrorKind::Type);
        assert!(table.get(&mut store, 4).is_none());
        is(&mut store, &[Some(1); 4]);
    });
}

#[test]
fn globals() {
    in_each_mode(|engine| {
        let mut store = Store::new(engine, ());
        let var = GlobalType::new(ValType::I64, Mutability::Var);
        let fixed = GlobalType::new(ValType::F32, Mutability::Const);
        let count = Global::new(&mut store, var, Val::I64(5)).unwrap();
        let ratio = Global::new(&mut store, fixed, Val::F32(0x7fa0_0001)).unwrap();
        assert_kind(Global::new(&mut store, var, Val::I32(5)), ErrorKind::Type);
        let guest = instance(
            &mut store,
            r#"(module (import "" "c" (global $c (mut i64))) (import "" "r" (global $r f32))
                (global (export "copy") f32 (global.get $r))
                (func (export "next") (result i64)
                    (global.set $c (i64.add (global.get $c) (i64.const 1))) (global.get $c)))"#,
            &[count.into(), ratio.into()],
        );
        let next = guest.get_typed_func::<(), i64>(&mut store, "next").unwrap();
        for value in [5, -1, i64::MAX] {
            count.set(&mut store, Val::I64(value)).unwrap();
            assert_eq!(next.call(&mut store, ()).unwrap(), value.wrapping_add(1));
            assert_eq!(count.get(&mut store).i64(), Some(value.wrapping_add(1)));
        }
        let copy = guest.get_global(&mut store, "copy").unwrap();
        assert!(matches!(copy.get(&mut store), Val::F32(0x7fa0_0001)));
        assert_kind(copy.set(&mut store, Val::F32(0)), ErrorKind::Type);
        assert_kind(count.set(&mut store, Val::I32(0)), ErrorKind::Type);
        assert_eq!(count.ty(&store), var);
    });
}
