;; Bulk operators are helpers, but for copies and fills of a few bytes.
(module
  (memory 1)
  (data $d "upshift")
  (table $t 4 funcref)
  (elem $e func)
  (func $memory (param i32 i32 i32)
    local.get 0 local.get 1 local.get 2 memory.copy
    local.get 0 local.get 1 local.get 2 memory.fill
    local.get 0 local.get 1 local.get 2 memory.init $d
    data.drop $d)
  (func $table (param i32 i32 i32)
    local.get 0 local.get 1 local.get 2 table.copy $t $t
    local.get 0 local.get 1 local.get 2 table.init $t $e
    elem.drop $e)
  (func $small (param i32 i32 i32)
    local.get 0 local.get 1 i32.const 7 memory.copy
    local.get 0 local.get 1 i32.const 24 memory.copy
    local.get 0 i32.const 0 i32.const 40 memory.fill
    local.get 0 local.get 1 i32.const 3 memory.fill
    local.get 0 local.get 1 i32.const 0 memory.fill
    local.get 0 local.get 1 i32.const 65 memory.fill))
