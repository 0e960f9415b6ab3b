;; Conversions: trapping and saturating truncation, unsigned sources, bits.
(module
  (func $trunc (param f64) (result i32) local.get 0 i32.trunc_f64_s)
  (func $trunc_u (param f32) (result i64) local.get 0 i64.trunc_f32_u)
  (func $sat (param f64) (result i32) local.get 0 i32.trunc_sat_f64_s)
  (func $sat_u (param f64) (result i32) local.get 0 i32.trunc_sat_f64_u)
  (func $from_u64 (param i64) (result f64) local.get 0 f64.convert_i64_u)
  (func $bits (param f64) (result i64) local.get 0 i64.reinterpret_f64)
  (func $wrap_extend (param i64) (result i64) local.get 0 i32.wrap_i64 i64.extend_i32_s)
  (func $demote (param f64) (result f32) local.get 0 f32.demote_f64))
