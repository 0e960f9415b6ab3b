;; Blocks, loops, branches with operands, jump tables, code after branches.
(module
  (func $sum (param $n i32) (result i32) (local $s i32)
    loop $again
      local.get $s local.get $n i32.add local.set $s
      local.get $n i32.const 1 i32.sub local.tee $n
      br_if $again
    end
    local.get $s)
  (func $abs (param i32) (result i32)
    local.get 0 i32.const 0 i32.lt_s
    if (result i32) i32.const 0 local.get 0 i32.sub else local.get 0 end)
  (func $params (param i32 i32) (result i32)
    local.get 0 local.get 1
    if (param i32) (result i32) i32.const 2 i32.mul end)
  (func $switch (param i32) (result i32)
    block block block block
      local.get 0 br_table 0 1 2 3
    end i32.const 10 return
    end i32.const 20 return
    end i32.const 30 return
    end i32.const 40)
  (func $switch_with_operand (param i32) (result i32)
    block $a (result i32) block $b (result i32)
      i32.const 7 local.get 0 br_table $a $b $a
    end i32.const 1 i32.add
    end)
  (func $dead (param i32) (result i32)
    block (result i32)
      local.get 0 return
      loop (result i32) i32.const 1 br 1 if (result i32) unreachable else i32.const 2 end end
    end)
  (func $trap unreachable))
