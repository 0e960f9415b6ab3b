;; Many operands stand for one local that a call left in memory, and then the local is assigned: each operand
;; needs the old value, and the assignment still needs a register.
(module
  (func $nothing)
  (func (export "floats") (param f64) (result f64)
    (call $nothing)
    local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0
    local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0
    f64.const 100
    local.set 0
    f64.add f64.add f64.add f64.add f64.add f64.add f64.add f64.add
    f64.add f64.add f64.add f64.add f64.add f64.add f64.add
    local.get 0
    f64.add)
  (func (export "integers") (param i32) (result i32)
    (call $nothing)
    local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0
    local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0 local.get 0
    i32.const 100
    local.set 0
    i32.add i32.add i32.add i32.add i32.add i32.add i32.add i32.add
    i32.add i32.add i32.add i32.add i32.add i32.add i32.add
    local.get 0
    i32.add))
(assert_return (invoke "floats" (f64.const 2)) (f64.const 132))
(assert_return (invoke "integers" (i32.const 3)) (i32.const 148))
