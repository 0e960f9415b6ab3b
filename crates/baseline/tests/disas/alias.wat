;; Operands that are old values of a local, over a call whose result is assigned to it: all are copied first, and none into the
;; register of the result.
(module
  (func $f (param i32) (result i32) (local.get 0))
  (func (param $x i32) (result i32)
    (local.get $x) (local.get $x) (local.get $x) (local.get $x)
    (local.get $x) (local.get $x) (local.get $x) (local.get $x)
    (local.set $x (call $f (local.get $x)))
    i32.add i32.add i32.add i32.add i32.add i32.add i32.add
    (i32.add (local.get $x)))
)
