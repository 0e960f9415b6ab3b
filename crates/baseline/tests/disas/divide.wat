;; Division by constants: shifts and reciprocals. By a variable: the two traps apart.
(module
  (func (param $x i32) (result i32) (i32.div_u (local.get $x) (i32.const 10)))
  (func (param $x i32) (result i32) (i32.rem_u (local.get $x) (i32.const 7)))
  (func (param $x i32) (result i32) (i32.div_s (local.get $x) (i32.const 100)))
  (func (param $x i32) (result i32) (i32.rem_s (local.get $x) (i32.const 16)))
  (func (param $x i64) (param $y i64) (result i64) (i64.rem_s (local.get $x) (local.get $y)))
  (func (param $x i32) (param $y i32) (result i32) (i32.div_s (local.get $x) (local.get $y))))
