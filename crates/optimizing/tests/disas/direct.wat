;;! final
;; Direct calls: of functions whose code stays, and of the function itself. An import still goes through its slot.
(module
  (import "m" "f" (func $imported (param i32) (result i32)))
  (func $callee (param i32) (result i32) local.get 0 call $imported)
  (func $caller (param i32) (result i32)
    local.get 0 call $callee call $callee)
  (func $itself (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (local.get 0) (call $itself (i32.sub (local.get 0) (i32.const 1)))))
      (else (i32.const 0)))))
