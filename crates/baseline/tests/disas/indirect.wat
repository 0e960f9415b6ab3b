;; Calls through a table and of imports; arguments on the stack, more results than registers.
(module
  (type $t (func (param i32 f64) (result i32)))
  (import "m" "f" (func $f (param i64) (result i64)))
  (table 4 funcref)
  (func (param $x i32) (result i32)
    (i32.add (local.get $x)
      (call_indirect (type $t) (local.get $x) (f64.const 1.5) (i32.const 3))))
  (func (param i64) (result i64) (call $f (local.get 0)))
  (func $many (param i32 i32 i32 i32 i32 i32 i64)
    (result i32 i32 i32 i32 i32 i32 i32 i32 i32)
    local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5
    i32.const 7 i32.const 8 i32.const 9)
  (func (result i32)
    (call $many (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
      (i32.const 6) (i64.const 7))
    drop drop drop drop drop drop drop drop))
