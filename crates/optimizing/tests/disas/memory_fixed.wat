;;! checked
;; A memory that cannot grow has a constant size, and its base does not move.
(module
  (memory 2 2)
  (func $sum (param i32) (result i32) (local i32)
    loop $again
      local.get 0 i32.load local.get 1 i32.add local.set 1
      local.get 0 i32.const 4 i32.sub local.tee 0 br_if $again
    end
    local.get 1)
  (func $size (result i32) memory.size))
