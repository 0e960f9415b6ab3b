;; The smallest WASI program: one fd_write to standard output.
;;
;;     upshift run examples/hello.wat
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $iov_count i32) (param $written i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param $code i32)))
  (memory (export "memory") 1)
  ;; One iovec: where the text starts and how many bytes it has.
  (data (i32.const 0) "\10\00\00\00\1b\00\00\00")
  (data (i32.const 16) "Hello from the first gear.\0a")
  (func $main (export "_start")
    (local $error i32)
    (local.set $error
      (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (if (local.get $error)
      (then (call $proc_exit (local.get $error))))))
