;; Fibonacci numbers, once by recursion and once by a loop. No imports.
;;
;;     upshift run --invoke fib examples/fib.wat 30
;;     upshift run --invoke fib_loop examples/fib.wat 90
(module
  (func $fib (export "fib") (param $n i32) (result i64)
    (if (result i64) (i32.lt_u (local.get $n) (i32.const 2))
      (then (i64.extend_i32_u (local.get $n)))
      (else
        (i64.add
          (call $fib (i32.sub (local.get $n) (i32.const 1)))
          (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func $fib_loop (export "fib_loop") (param $n i32) (result i64)
    (local $current i64)
    (local $next i64)
    (local.set $next (i64.const 1))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $n)))
        (i64.add (local.get $current) (local.get $next))
        (local.set $current (local.get $next))
        (local.set $next)
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $current)))
