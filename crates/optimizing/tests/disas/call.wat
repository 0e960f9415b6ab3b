;; Calls: through the slot of a function of the module, of an import, of a table entry; arguments on the stack.
(module
  (type $unary (func (param i32) (result i32)))
  (import "m" "f" (func $imported (type $unary)))
  (table $grows 4 funcref)
  (table $fixed 8 8 funcref)
  (func $direct (param i32) (result i32)
    local.get 0 call $indirect local.get 0 call $indirect i32.add)
  (func $import (param i32) (result i32) local.get 0 call $imported)
  (func $indirect (param i32) (result i32)
    local.get 0 local.get 0 call_indirect $grows (type $unary))
  (func $indirect_fixed (param i32) (result i32)
    local.get 0 local.get 0 call_indirect $fixed (type $unary))
  (func $many (param i64 i64 i64 i64 i64 i64 i64 f32) (result i64)
    local.get 6 local.get 5 local.get 4 local.get 3 local.get 2 local.get 1 local.get 0 local.get 7
    call $many))
