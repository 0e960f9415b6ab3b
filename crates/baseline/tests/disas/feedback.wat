;; counters
;; With counters, a `call_indirect` leaves word of the slot that it calls; one in unreachable code takes a number, too.
(module
  (type $unary (func (param i32) (result i32)))
  (table 4 funcref)
  (func (param i32) (result i32)
    (block $out
      br $out
      (drop (call_indirect (type $unary) (i32.const 0) (i32.const 1))))
    (call_indirect (type $unary)
      (call_indirect (type $unary) (local.get 0) (i32.const 1))
      (i32.const 2))))
