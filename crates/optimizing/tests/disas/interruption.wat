;;! interruption
;; Loop headers test the store's interrupt word, the inner one too.
(module
  (func $nest (param i32) (local i32)
    loop $outer
      local.get 0 local.set 1
      loop $inner
        local.get 1 i32.const 1 i32.sub local.tee 1 br_if $inner
      end
      local.get 0 i32.const 1 i32.sub local.tee 0 br_if $outer
    end))
