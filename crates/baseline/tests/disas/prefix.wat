;; A constant below an `if` stays one whatever an arm opens: no path may be left without it.
(module
  (func (param $c i32) (result i32)
    (i32.const 3)
    (if (result i32) (local.get $c)
      (then (loop (result i32) (br_if 0 (i32.eqz (local.get $c))) (i32.const 4)))
      (else (i32.const 5)))
    (i32.xor)))
