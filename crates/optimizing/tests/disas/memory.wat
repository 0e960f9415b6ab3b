;; Accesses that the guard checks: one instruction each. An i32 sum wraps, so it is not folded into the address.
(module
  (memory 1)
  (func $load (param i32) (result i32) local.get 0 i32.load offset=16)
  (func $load_signed (param i32) (result i64) local.get 0 i64.load8_s)
  (func $store (param i32 i64) local.get 0 local.get 1 i64.store32 offset=4)
  (func $wrapping_sum (param i32 i32) (result f64) local.get 0 local.get 1 i32.add f64.load)
  (func $constant_address (result i32) i32.const 1024 i32.load)
  (func $update (param i32)
    local.get 0 local.get 0 i32.load i32.const 1 i32.add i32.store)
  (func $far_offset (param i32) (result i32) local.get 0 i32.load8_u offset=0xffff0000)
  (func $size (result i32) memory.size)
  (func $grow (param i32) (result i32) local.get 0 memory.grow))
