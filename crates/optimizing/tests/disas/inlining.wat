;;! inlining
;; What is inlined where, and that backtraces can tell. Function 0 is what tables are expected to hold.
(module
  (memory 1)
  (table 4 funcref)
  (type $unary (func (param i32) (result i32)))
  (func $double (param i32) (result i32) local.get 0 i32.const 1 i32.shl)
  (func $load (param i32) (result i32) local.get 0 i32.load offset=8)
  ;; Neither tiny nor hot.
  (func $cold (param i32) (result i32)
    local.get 0 i32.eqz if i32.const 7 return end
    local.get 0 i32.const 3 i32.mul i32.const 5 i32.add i32.const 9 i32.xor)
  ;; A tiny one in a tiny one: the trap is two calls away.
  (func $deep (param i32) (result i32) local.get 0 call $load call $load)
  ;; Hot: larger ones, too.
  (func $hot (param i32) (result i32)
    local.get 0 i32.eqz if i32.const 7 return end
    local.get 0 i32.const 3 i32.mul i32.const 5 i32.add i32.const 9 i32.xor)
  (func $calls (param i32) (result i32)
    local.get 0 call $double call $deep call $cold call $hot)
  (func $in_loop (param i32) (result i32) (local i32)
    loop
      local.get 1 local.get 0 call $cold i32.add local.set 1
      local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0
    end
    local.get 1)
  (func $through_table (param i32 i32) (result i32)
    local.get 0 local.get 1 call_indirect (type $unary))
  ;; Not into itself.
  (func $recursive (param i32) (result i32)
    local.get 0 if (result i32) local.get 0 call $recursive else i32.const 1 end)
  (func $reference (param externref i32) (result externref)
    local.get 1 call $double memory.grow drop local.get 0))
