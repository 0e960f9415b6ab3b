;; Accesses are one instruction; an index with an undefined upper half is extended once; huge offsets are checked.
(module
  (memory 1)
  (func $f (result i32) (i32.const 8))
  (func (param $p i32) (result i64)
    (i32.store8 (local.get $p) (i32.const 1))
    (i64.store offset=8 (local.get $p) (i64.const -1))
    (f32.store offset=16 (local.get $p) (f32.const 1))
    (i64.add (i64.load32_s (call $f)) (i64.load16_u (i32.const 100))))
  (func (param $p i32) (result i32) (i32.load offset=0xffffff00 (local.get $p)))
  (func (param $p i64) (result i32) (i32.load (i32.wrap_i64 (local.get $p))))
  (func (result i32) (i32.add (memory.size) (memory.grow (i32.const 1)))))
