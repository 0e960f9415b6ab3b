;;! checked
;; The checked style: the end of the access against the size, which calls and growth may change.
(module
  (import "m" "f" (func $f))
  (import "m" "memory" (memory 1))
  (func $load (param i32) (result i32) local.get 0 i32.load offset=16)
  (func $twice (param i32) (result i32)
    local.get 0 i32.load local.get 0 i32.load offset=4 i32.add)
  (func $across_call (param i32)
    local.get 0 i32.const 1 i32.store call $f local.get 0 i32.const 2 i32.store)
  (func $far (param i32 f64) local.get 0 local.get 1 f64.store offset=0x80000000))
