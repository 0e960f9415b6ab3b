;; Float constants from the pool, comparisons that mind NaN, truncation with its cold path.
(module
  (func (param $a f64) (param $b f64) (result f64)
    (f64.copysign (f64.min (local.get $a) (local.get $b)) (f64.neg (f64.mul (local.get $a) (f64.const 0.5)))))
  (func (param $a f64) (result i32) (i32.trunc_f64_s (local.get $a)))
  (func (param $a f32) (result i64) (i64.trunc_sat_f32_u (local.get $a)))
  (func (param $a i64) (result f64) (f64.convert_i64_u (local.get $a)))
  (func (param $a f64) (param $b f64) (result i32)
    (i32.or (f64.lt (local.get $a) (local.get $b)) (f64.ne (local.get $a) (local.get $a)))))
