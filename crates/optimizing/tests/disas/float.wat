;; Float arithmetic with wasm's minimum, rounding and sign operators.
(module
  (func $poly (param f64 f64) (result f64)
    local.get 0 local.get 1 f64.mul local.get 0 f64.add local.get 1 f64.div f64.sqrt)
  (func $min (param f32 f32) (result f32) local.get 0 local.get 1 f32.min)
  (func $round (param f64) (result f64)
    local.get 0 f64.nearest f64.floor f64.ceil f64.trunc)
  (func $signs (param f32 f32) (result f32)
    local.get 0 f32.abs f32.neg local.get 1 f32.copysign)
  (func $less (param f64 f64) (result i32) local.get 0 local.get 1 f64.lt)
  (func $constant (result f64) f64.const 3.5))
