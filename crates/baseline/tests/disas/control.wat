;; Comparisons kept in flags, selects, jump tables, division by constants.
(module
  (func (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.lt_u (local.get $a) (local.get $b))))
  (func (param $a f64) (param $b f64) (result i32)
    (if (result i32) (f64.eq (local.get $a) (local.get $b))
      (then (i32.const 1)) (else (i32.const 2))))
  (func (param $x i32) (result i32)
    (block $c (block $b (block $a
      (br_table $a $b $c $a $b (local.get $x)))
      (return (i32.const 10)))
      (return (i32.const 20)))
    (i32.const 30))
  (func (param $x i32) (result i32)
    (i32.add (i32.div_s (local.get $x) (i32.const 8)) (i32.rem_s (local.get $x) (i32.const 7))))
  (func (param $x i64) (param $y i64) (result i64)
    (i64.shl (i64.div_u (local.get $x) (local.get $y)) (i64.rotl (local.get $x) (local.get $y)))))
