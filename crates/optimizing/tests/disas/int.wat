;; Integer arithmetic: divisions with their traps, shifts, counts, sign extension, comparison and branch.
(module
  (func $div_s (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s)
  (func $div_u (param i64 i64) (result i64) local.get 0 local.get 1 i64.div_u)
  (func $rem_s (param i64 i64) (result i64) local.get 0 local.get 1 i64.rem_s)
  (func $rem_u (param i32 i32) (result i32) local.get 0 local.get 1 i32.rem_u)
  (func $div_by_10 (param i32) (result i32) local.get 0 i32.const 10 i32.div_u)
  (func $bits (param i32 i32) (result i32)
    local.get 0 local.get 1 i32.shl
    local.get 0 local.get 1 i32.rotl i32.xor
    local.get 0 local.get 1 i32.shr_s i32.or)
  (func $counts (param i64) (result i64)
    local.get 0 i64.clz local.get 0 i64.ctz i64.add local.get 0 i64.popcnt i64.add)
  (func $extend (param i64) (result i64)
    local.get 0 i64.extend8_s local.get 0 i64.extend16_s i64.add local.get 0 i64.extend32_s i64.add)
  (func $max (param i32 i32) (result i32)
    local.get 0 local.get 1 local.get 0 local.get 1 i32.gt_s select)
  (func $is_zero (param i64) (result i32) local.get 0 i64.eqz))
