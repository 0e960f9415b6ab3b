;; Globals: constants are folded, immutable imports are loaded once, mutable ones in their own regions.
(module
  (import "m" "base" (global $base i32))
  (import "m" "shared" (global $shared (mut i32)))
  (global $answer i32 (i32.const 42))
  (global $sp (mut i32) (i32.const 65536))
  (global $pi f64 (f64.const 3.14))
  (func $constants (result i32) global.get $answer global.get $base i32.add)
  (func $frame (param i32) (result i32)
    global.get $sp i32.const 16 i32.sub global.set $sp
    i32.const 7 global.set $shared
    global.get $sp)
  (func $loop (param i32) (result i32)
    loop $again
      global.get $base local.get 0 i32.add local.tee 0 br_if $again
    end
    local.get 0)
  (func $pi (result f64) global.get $pi))
