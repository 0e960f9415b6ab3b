;; Tables: sizes in place, the rest by helpers.
(module
  (table $grows 1 funcref)
  (table $fixed 3 3 externref)
  (func $size (result i32) table.size $grows table.size $fixed i32.add)
  (func $set (param i32 externref) local.get 0 local.get 1 table.set $fixed)
  (func $grow (param funcref i32) (result i32) local.get 0 local.get 1 table.grow $grows)
  (func $fill (param i32 externref i32)
    local.get 0 local.get 1 local.get 2 table.fill $fixed))
