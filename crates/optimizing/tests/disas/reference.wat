;; References that live across a call are in its stack map; element access is a helper's work.
(module
  (import "m" "f" (func $f))
  (table $t 2 externref)
  (elem declare func $keep)
  (func $keep (param externref) (result externref)
    call $f local.get 0)
  (func $loop (param externref i32) (result externref) (local externref)
    loop $again
      local.get 1 table.get $t local.set 2
      call $f
      local.get 1 i32.const 1 i32.sub local.tee 1 br_if $again
    end
    local.get 2 local.get 0 local.get 2 ref.is_null select (result externref))
  (func $null (result i32) ref.null func ref.is_null)
  (func $func (result funcref) ref.func $keep))
