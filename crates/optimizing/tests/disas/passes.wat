;;! clif
;; What our own passes do: constants in addresses, indices that are carried, inverted comparisons of floats.
(module
  (memory 1)
  ;; Below the first access: displacements before the index. Above it: behind what was accessed.
  (func $around (param i32) (result i32)
    (i32.add
      (i32.add (i32.load (i32.add (local.get 0) (i32.const 32)))
               (i32.load (i32.add (local.get 0) (i32.const 4))))
      (i32.add (i32.load (local.get 0))
               (i32.load offset=8 (i32.add (local.get 0) (i32.const 40))))))
  ;; An offset needs proof that the index does not wrap; there is none below the first access.
  (func $offset_below (param i32) (result i32)
    (i32.add
      (i32.load (local.get 0))
      (i32.load offset=16 (i32.sub (i32.add (local.get 0) (i32.const 4)) (i32.const 8)))))
  ;; Further than the guard.
  (func $far (param i32) (result i32)
    (i32.add
      (i32.load (local.get 0))
      (i32.add (i32.load (i32.add (local.get 0) (i32.const 0x10004)))
               (i32.load (i32.add (local.get 0) (i32.const -0x10001))))))
  ;; What one arm has accessed is not known in the other, nor behind both.
  (func $arms (param i32 i32) (result i32)
    (if (result i32) (local.get 1)
      (then (i32.load (local.get 0)))
      (else (i32.load (i32.add (local.get 0) (i32.const 8)))))
    (i32.load (i32.add (local.get 0) (i32.const 12)))
    (i32.add))
  ;; An unrolled loop: no extension and no addition for the addresses is left in it.
  (func $unrolled (param $to i32) (param $from i32) (param $count i32)
    (loop $again
      (i64.store (local.get $to) (i64.load (local.get $from)))
      (i64.store (i32.add (local.get $to) (i32.const 8))
                 (i64.load (i32.add (local.get $from) (i32.const 8))))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
  ;; A list: the loaded index is extended by the load.
  (func $list (param $node i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $node))))
      (br_if $again (local.tee $node (i32.load (local.get $node)))))
    (local.get $sum))
  (func $not_less (param f64 f64) (result i32)
    (if (result i32) (i32.eqz (f64.lt (local.get 0) (local.get 1)))
      (then (i32.const 10))
      (else (i32.const 20))))
)
