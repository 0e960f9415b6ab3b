//! Several threads at once.

use super::traps::{deep, expect_trap};
use super::{Draft, World};
use dynasmrt::{DynasmApi, dynasm};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use upshift_abi::TrapCode;

#[test]
fn eight_threads_trap_at_once() {
    let world = World::new();
    let trap = world.install(&deep(1, |asm, sites| {
        sites.trap(asm, TrapCode::Unreachable);
        dynasm!(asm ; .arch x64 ; ud2);
    }));
    let sum = world.install(&Draft::new(2, |asm, _| {
        dynasm!(asm ; .arch x64 ; push rbp ; mov rbp, rsp ; lea rax, [rsi + rdx] ; leave ; ret);
    }));
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (space, table) = (world.space.clone(), world.table.clone());
            let barrier = &barrier;
            scope.spawn(move || {
                let world = World::sharing(space, table);
                barrier.wait();
                for round in 0..2000 {
                    let depth = (thread + round) % 10;
                    let record = expect_trap(world.call(trap, &[depth]));
                    assert_eq!(record.code, TrapCode::Unreachable);
                    assert_eq!(record.frames.len() as u64, depth + 1);
                    assert_eq!(world.call(sum, &[thread, round]).unwrap(), thread + round);
                }
            });
        }
    });
}

#[test]
fn code_is_swapped_freed_and_reused_under_load() {
    let world = World::new();
    // Returns 7 by way of a constant that differs from one version to the next.
    let version = |value: i32| {
        Draft::new(3, |asm, _| {
            dynasm!(asm ; .arch x64
                ; push rbp ; mov rbp, rsp
                ; mov eax, value ; sub eax, value ; add eax, 7
                ; leave ; ret
                ; .bytes &[0x90; 400]);
        })
    };
    let mut current = world.publish(&version(0));
    world.table.install(3, &current);
    let stop = AtomicBool::new(false);
    // A thread is inside a call between two barriers' worth of rounds; the writer frees old code only when
    // all of them have passed a point outside.
    let rounds: [std::sync::atomic::AtomicU64; 3] = std::array::from_fn(|_| Default::default());
    std::thread::scope(|scope| {
        for round in &rounds {
            let (space, table) = (world.space.clone(), world.table.clone());
            let stop = &stop;
            scope.spawn(move || {
                let world = World::sharing(space, table);
                while !stop.load(Ordering::Relaxed) {
                    let result = world.call(world.table.load(3), &[]);
                    assert_eq!(result.unwrap() & 0xffff_ffff, 7);
                    round.fetch_add(1, Ordering::SeqCst);
                    // Makes way for the writer where there are fewer processors than threads.
                    std::thread::yield_now();
                }
            });
        }
        for value in 1..1000 {
            let next = world.publish(&version(value));
            world.table.install(3, &next);
            let seen: Vec<u64> = rounds.iter().map(|r| r.load(Ordering::SeqCst)).collect();
            while rounds
                .iter()
                .zip(&seen)
                .any(|(round, seen)| round.load(Ordering::SeqCst) < seen + 2)
            {
                std::thread::yield_now();
            }
            // SAFETY: rule CODE: every thread has begun a call after the install, so nobody is in the old code.
            unsafe { world.space.free(std::mem::replace(&mut current, next)) };
        }
        stop.store(true, Ordering::Relaxed);
    });
    let stats = world.space.stats();
    assert!(
        stats.committed_bytes < 300 << 10,
        "addresses are used again: {stats:?}"
    );
    assert!(stats.published_baseline_bytes > 1000 * 400);
}
