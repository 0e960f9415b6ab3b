;; Ten integer results: eight in registers, two behind the result pointer.
(module
  (type $ten (func (param i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i64)))
  (func $make (type $ten)
    local.get 0 local.get 0 local.get 0 local.get 0 local.get 0
    local.get 0 local.get 0 local.get 0 i32.const 9 i64.const 10)
  (func $use (param i32) (result i64) (local i64)
    local.get 0 call $make
    local.set 1 drop drop drop drop drop drop drop drop drop
    local.get 1)
  (func $pass (type $ten) local.get 0 call $make))
