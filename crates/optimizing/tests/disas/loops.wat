;; Hot loops as compilers emit them.
(module
  (memory 1)
  (func $fib (param i32) (result i32)
    local.get 0 i32.const 2 i32.lt_u if i32.const 1 return end
    local.get 0 i32.const 1 i32.sub call $fib
    local.get 0 i32.const 2 i32.sub call $fib
    i32.add)
  (func $dot (param $a i32) (param $b i32) (param $n i32) (result f64) (local $s f64)
    loop $again
      local.get $a f64.load local.get $b f64.load f64.mul local.get $s f64.add local.set $s
      local.get $a i32.const 8 i32.add local.set $a
      local.get $b i32.const 8 i32.add local.set $b
      local.get $n i32.const 1 i32.sub local.tee $n
      br_if $again
    end
    local.get $s)
  (func $index (param $base i32) (param $n i32) (result i32) (local $i i32) (local $s i32)
    block $done
      loop $again
        local.get $i local.get $n i32.ge_u br_if $done
        local.get $base local.get $i i32.const 2 i32.shl i32.add i32.load
        local.get $s i32.add local.set $s
        local.get $i i32.const 1 i32.add local.set $i
        br $again
      end
    end
    local.get $s))
