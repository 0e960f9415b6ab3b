;; Loops that are entered in the middle, with every kind of state around them.
;; All modes run this; those that schedule on-stack replacement enter every loop here.

(module
  (func $extern_id (param externref) (result externref) local.get 0)

  ;; Locals of every type, in homes and in slots.
  (func (export "locals") (param i32 i64 f32 f64 externref) (result i32 i64 f32 f64 externref)
    (local i32 i64)
    (loop $l
      (local.set 5 (i32.add (local.get 5) (i32.const 3)))
      (local.set 6 (i64.add (local.get 6) (i64.extend_i32_u (local.get 5))))
      (local.set 2 (f32.add (local.get 2) (f32.const 0.5)))
      (local.set 3 (f64.mul (local.get 3) (f64.const 2)))
      (local.set 4 (call $extern_id (local.get 4)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 5) (i64.add (local.get 1) (local.get 6)) (local.get 2) (local.get 3) (local.get 4))

  ;; Operands below a loop: constants and values of every type.
  (func (export "operands") (param i32 f32) (result i64 i32 f64 f32 i32)
    (i64.const 0x100000001) (i32.mul (local.get 0) (i32.const -5)) (f64.const 1.5)
    (f32.add (local.get 1) (f32.const 2.5))
    (local.get 0)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))

  ;; A loop with parameters and results, and operands below them.
  (func (export "params") (param i32) (result i64)
    (i64.const 1000)
    (i64.const 0) (local.get 0)
    (loop $l (param i64 i32) (result i64)
      (local.set 0)
      (i64.add (i64.extend_i32_u (local.get 0)))
      (i32.sub (local.get 0) (i32.const 1))
      (br_if $l (local.tee 0) (local.get 0))
      (drop))
    (i64.add))

  ;; Arguments on the stack, results behind a pointer.
  (func (export "wide")
    (param i32 i32 i32 i32 i32 i32 i64) (param f64 f64 f64 f64 f64 f64 f64 f64 f64)
    (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 f64)
    (loop $l
      (local.set 5 (i32.add (local.get 5) (i32.const 1)))
      (local.set 6 (i64.add (local.get 6) (i64.const 2)))
      (local.set 15 (f64.add (local.get 15) (f64.const 4)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
    (i32.const 7) (i32.const 8) (i32.const 9)
    (local.get 6) (local.get 15))
)

(assert_return (invoke "locals" (i32.const 4) (i64.const 100) (f32.const 1) (f64.const 1) (ref.extern 3))
  (i32.const 12) (i64.const 130) (f32.const 3) (f64.const 16) (ref.extern 3))
(assert_return (invoke "operands" (i32.const 5) (f32.const 1))
  (i64.const 0x100000001) (i32.const -25) (f64.const 1.5) (f32.const 3.5) (i32.const 5))
(assert_return (invoke "params" (i32.const 10)) (i64.const 1055))
(assert_return
  (invoke "wide" (i32.const 10) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i64.const 6)
    (f64.const 0) (f64.const 1) (f64.const 2) (f64.const 3) (f64.const 4) (f64.const 5) (f64.const 6) (f64.const 7) (f64.const 8))
  (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 15) (i32.const 7) (i32.const 8) (i32.const 9)
  (i64.const 26) (f64.const 48))

;; Nests.
(module
  ;; Inner loop in the middle of the outer one: sum of i * j + i over j < m, i < n.
  (func (export "nest") (param $n i32) (param $m i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $m))))
      (local.set $sum (i32.add (local.get $sum) (local.get $i)))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; Three deep, with operands between the loops and exits from the innermost one to everywhere.
  (func (export "deep") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $k i32) (local $sum i32)
    (i32.const 7)
    (block $done (result i32)
      (loop $a
        (local.set $j (i32.const 0))
        (i32.mul (local.get $i) (i32.const 100))
        (block $next_a (param i32) (result i32)
          (loop $b (param i32) (result i32)
            (local.set $k (i32.const 0))
            (i32.add (local.get $j) (i32.const 10))
            (block $next_b (param i32) (result i32)
              (loop $c (param i32) (result i32)
                (i32.add (local.get $k))
                (local.set $k (i32.add (local.get $k) (i32.const 1)))
                (if (i32.gt_u (local.get $sum) (i32.const 100000)) (then (br $done (i32.const 5) (drop) (local.get $sum))))
                (br_if $next_a (i32.const 3) (i32.eq (local.get $k) (local.get $n)) (drop)
                  (i32.eq (i32.add (local.get $i) (local.get $j)) (i32.const 5)))
                (drop)
                (br_if $next_b (i32.gt_u (local.get $k) (local.get $j)))
                (br_if $c (i32.lt_u (local.get $k) (local.get $n)))))
            (local.set $sum (i32.add (local.get $sum)))
            (br_if $b (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $n)))))
        (local.set $sum (i32.add (local.get $sum)))
        (br_if $a (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (local.get $sum))
    (i32.add))

  ;; Loops in both arms of an `if`, in a loop; what the arms leave is used behind.
  (func (export "arms") (param $n i32) (result i32)
    (local $i i32) (local $j i32) (local $sum i32)
    (loop $a
      (local.set $j (local.get $i))
      (local.get $sum)
      (if (result i32) (i32.and (local.get $i) (i32.const 1))
        (then
          (loop $odd (br_if $odd (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 2))) (i32.const 20))))
          (local.get $j))
        (else
          (loop $even (result i32)
            (local.get $j)
            (br_if $even (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 3))) (i32.const 20))))
          ))
      (local.set $sum (i32.add))
      (br_if $a (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $sum))

  ;; The first arm of an `if` that is in no loop; the second is never reached from there.
  (func (export "entered_if") (param $n i32) (result i32)
    (i32.const 1000)
    (if (param i32) (result i32) (local.get $n)
      (then (loop $l (param i32) (result i32)
        (i32.add (local.get $n))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
      (else (i32.const -1) (i32.add)))
    (i32.add (i32.const 5)))

  ;; A table in the innermost loop goes to every label.
  (func (export "table") (param $n i32) (result i32)
    (local $i i32) (local $sum i32)
    (block $out
      (loop $a
        (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
        (block $x
          (loop $b
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $out (i32.gt_u (local.get $i) (local.get $n)))
            (block $y
              (block $z
                (br_table $b $a $x $y $z $b (i32.rem_u (local.get $i) (i32.const 6))))
              (local.set $sum (i32.add (local.get $sum) (i32.const 10)))
              (br $b))
            (local.set $sum (i32.add (local.get $sum) (i32.const 100)))
            (br $b)))
        (local.set $sum (i32.add (local.get $sum) (i32.const 1000)))
        (br $a)))
    (local.get $sum))

  ;; Recursion out of a loop: frames of both kinds on one stack.
  (func $tree (export "tree") (param $depth i32) (result i32)
    (local $i i32) (local $sum i32)
    (local.set $sum (i32.const 1))
    (if (local.get $depth)
      (then (loop $l
        (local.set $sum (i32.add (local.get $sum)
          (call $tree (i32.sub (local.get $depth) (i32.const 1)))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3))))))
    (local.get $sum))

  ;; A trap in a loop that was entered.
  (memory 1)
  (func (export "trap") (param $at i32) (result i32)
    (loop $l (result i32)
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br $l)))
  (func (export "divide") (param $n i32) (result i32)
    (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.div_u (i32.const 100) (local.get $n))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $l))
    (unreachable))

  ;; An i32 whose upper half is garbage in baseline code is an address in the loop.
  (func (export "upper") (param $x i64) (param $n i32) (result i32)
    (local $p i32)
    (local.set $p (i32.wrap_i64 (local.get $x)))
    (loop $l
      (i32.store (local.get $p) (local.get $n))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.load (i32.const 16)))

  ;; Nobody leaves the inner loop but by going round the outer one, or out of the function.
  (func (export "returns") (param $n i32) (result i32)
    (local $x i32)
    (i32.const 3)
    (loop $a (result i32)
      (i32.const 4)
      (loop $b (result i32)
        (local.set $x (i32.add (local.get $x) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (if (i32.eqz (local.get $n)) (then (return (local.get $x))))
        (br_if $a (i32.and (local.get $n) (i32.const 4)))
        (br $b))
      (i32.add))
    (i32.add))
)

(assert_return (invoke "nest" (i32.const 5) (i32.const 4)) (i32.const 70))
(assert_return (invoke "nest" (i32.const 1) (i32.const 1)) (i32.const 0))
(assert_return (invoke "deep" (i32.const 1)) (i32.const 17))
(assert_return (invoke "deep" (i32.const 2)) (i32.const 151))
(assert_return (invoke "deep" (i32.const 3)) (i32.const 418))
(assert_return (invoke "deep" (i32.const 8)) (i32.const 1914))
(assert_return (invoke "deep" (i32.const 100)) (i32.const 103326))
(assert_return (invoke "arms" (i32.const 6)) (i32.const 117))
(assert_return (invoke "entered_if" (i32.const 4)) (i32.const 1015))
(assert_return (invoke "entered_if" (i32.const 0)) (i32.const 1004))
(assert_return (invoke "table" (i32.const 20)) (i32.const 4339))
(assert_return (invoke "tree" (i32.const 5)) (i32.const 364))
(assert_return (invoke "returns" (i32.const 20)) (i32.const 210))
(assert_trap (invoke "trap" (i32.const 0)) "out of bounds memory access")
(assert_trap (invoke "divide" (i32.const 6)) "integer divide by zero")
(assert_return (invoke "upper" (i64.const 0xdeadbeef00000000) (i32.const 9)) (i32.const 5))
