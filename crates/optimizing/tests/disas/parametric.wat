;;! clif
;; `select` and constants, with the CLIF that they become.
(module
  (func $select (param f64 f64 i32) (result f64) local.get 0 local.get 1 local.get 2 select)
  (func $compare_select (param i64 i64) (result i64)
    local.get 0 local.get 1 local.get 0 local.get 1 i64.lt_u select)
  (func $drop (param i32) (result i64) local.get 0 drop i64.const -1)
  (func $negative (result i32) i32.const -1))
