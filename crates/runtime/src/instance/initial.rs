//! What active data segments leave in the memories of a new instance, as pages that are made once per module and mapped
//! by every instance.
//!
//! # Why this is what copying does
//!
//! Segments are copied in order; the first one that does not fit traps, and others may see the effects of those before it
//! (spec 4.5.4). Take the longest prefix of the active segments in which every offset is a constant and every
//! segment lies within the minimum size of its memory.
//!
//! 1. No segment of the prefix traps, in any instance: a memory has its minimum size at least, imported or not.
//! 2. No code runs while segments are copied. So only what the whole prefix leaves is ever seen, and segments that have no
//!    byte in common may be copied in any order.
//! 3. A memory that the module defines is zeroed when the first segment is copied, since nobody knew it before, and has
//!    its minimum size. So the prefix leaves the same in it in each instance.
//!
//! The pages of such memories that the prefix writes are grouped into stretches. Two stretches have no page in common, so by
//! (2) those that are worth it can be mapped before anything is copied: their pages hold what their segments leave, in order, and
//! zeroes elsewhere. All other segments are copied in order as ever: small ones, those of imported memories, and those behind the
//! prefix, which by then may overwrite mapped pages like any others.

use crate::loaded::LoadedModule;
use crate::memory::{IMAGE_PAGE_BYTES, ImageFile, Run, WASM_PAGE_BYTES};
use crate::store::StoreInner;
use smallvec::SmallVec;
use std::cmp::Reverse;
use std::ops::Range;
use upshift_module::{ConstInst, DataIndex, DataMode, DataSegment, Module};

/// Data of this many bytes are mapped. Later instances would gain from a tenth of it already; the first one pays for the
/// file, about as much as a later one gains here.
const STRETCH_BYTES_MIN: usize = 128 << 10;
/// Pages without data that a stretch may bridge, in bytes.
const GAP_BYTES_MAX: usize = 4 * IMAGE_PAGE_BYTES;
/// Most mappings for an instance: a process may not have many of them.
const STRETCHES_MAX: usize = 4;

/// What instances of a module map.
#[derive(Debug)]
pub(crate) struct InitialMemories {
    file: ImageFile,
    runs: Vec<MemoryRun>,
    /// By data segment: the position in `runs` of the one that has its bytes.
    run_of: Box<[Option<usize>]>,
}

/// A run of a memory, by the module's index.
#[derive(PartialEq, Eq, Debug)]
struct MemoryRun {
    memory: usize,
    run: Run,
}

/// A segment of the prefix that has bytes and a memory of the module's own.
#[derive(Clone, Debug)]
struct Placed {
    segment: usize,
    memory: usize,
    bytes: Range<usize>,
}

/// Whole pages, the segments in them, and how many bytes those have.
struct Stretch {
    memory: usize,
    pages: Range<usize>,
    segments: Vec<usize>,
    data_bytes: usize,
}

impl InitialMemories {
    /// None if no stretch is worth it or the system refuses a file.
    pub(crate) fn new(module: &Module) -> Option<Self> {
        let lens = module.data_segments().iter().map(|data| data.bytes.len());
        if lens.sum::<usize>() < STRETCH_BYTES_MIN {
            return None;
        }
        let placed = infallible_prefix(module);
        let stretches = stretches(&placed);
        let mut run_of = vec![None; module.data_segments().len()];
        let mut runs = Vec::new();
        let mut file_bytes = 0;
        for stretch in &stretches {
            for segment in &stretch.segments {
                run_of[*segment] = Some(runs.len());
            }
            let bytes = stretch.pages.len();
            runs.push(MemoryRun {
                memory: stretch.memory,
                run: Run {
                    memory_at: stretch.pages.start,
                    file_at: file_bytes,
                    bytes,
                },
            });
            file_bytes += bytes as u64;
        }
        if runs.is_empty() {
            return None;
        }
        let pieces = placed.iter().filter_map(|placed| {
            let run = &runs[run_of[placed.segment]?].run;
            let at = run.file_at + (placed.bytes.start - run.memory_at) as u64;
            let range = module.data_segments()[placed.segment].bytes.clone();
            Some((at, &module.bytes()[range]))
        });
        let file = ImageFile::new(file_bytes, pieces)?;
        Some(Self {
            file,
            runs,
            run_of: run_of.into(),
        })
    }
}

/// The segments of the prefix that images can hold, in order.
fn infallible_prefix(module: &Module) -> Vec<Placed> {
    let env = module.env();
    let mut prefix = Vec::new();
    for (index, segment) in module.data_segments().iter().enumerate() {
        let DataMode::Active { memory, .. } = &segment.mode else {
            continue;
        };
        let memory = memory.0 as usize;
        let size = env.memories[memory].minimum;
        let Some(bytes) = constant_place(segment, size) else {
            break;
        };
        if memory >= env.imported_memories as usize && !bytes.is_empty() {
            prefix.push(Placed {
                segment: index,
                memory,
                bytes,
            });
        }
    }
    prefix
}

/// Where an active segment goes, if that is a constant and within so many pages.
fn constant_place(segment: &DataSegment, pages: u64) -> Option<Range<usize>> {
    let DataMode::Active { offset, .. } = &segment.mode else {
        return None;
    };
    let start = match offset.as_slice() {
        [ConstInst::I32(start)] => u64::from(start.cast_unsigned()),
        [ConstInst::I64(start)] => start.cast_unsigned(),
        _ => return None,
    };
    let end = start.checked_add(segment.bytes.len() as u64)?;
    if end > pages.checked_mul(WASM_PAGE_BYTES as u64)? {
        return None;
    }
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// The stretches that are worth a mapping.
fn stretches(placed: &[Placed]) -> Vec<Stretch> {
    let mut sorted: Vec<_> = placed.iter().collect();
    sorted.sort_by_key(|placed| (placed.memory, placed.bytes.start));
    let mut stretches: Vec<Stretch> = Vec::new();
    for placed in sorted {
        let (start, end) = (placed.bytes.start, placed.bytes.end);
        let pages = start - start % IMAGE_PAGE_BYTES..end.next_multiple_of(IMAGE_PAGE_BYTES);
        match stretches.last_mut() {
            Some(last)
                if last.memory == placed.memory
                    && pages.start <= last.pages.end + GAP_BYTES_MAX =>
            {
                last.pages.end = last.pages.end.max(pages.end);
                last.segments.push(placed.segment);
                last.data_bytes += placed.bytes.len();
            }
            _ => stretches.push(Stretch {
                memory: placed.memory,
                pages,
                segments: vec![placed.segment],
                data_bytes: placed.bytes.len(),
            }),
        }
    }
    stretches.retain(|stretch| stretch.data_bytes >= STRETCH_BYTES_MIN);
    stretches.sort_by_key(|stretch| Reverse(stretch.data_bytes));
    stretches.truncate(STRETCHES_MAX);
    stretches
}

/// Which runs a new instance has mapped.
pub(super) struct MappedRuns<'a> {
    initial: Option<&'a InitialMemories>,
    mapped: SmallVec<[bool; STRETCHES_MAX]>,
}

impl MappedRuns<'_> {
    /// Whether the bytes of an active segment are in place.
    pub(super) fn holds(&self, segment: DataIndex) -> bool {
        self.initial
            .and_then(|initial| initial.run_of[segment.0 as usize])
            .is_some_and(|run| self.mapped[run])
    }
}

impl StoreInner {
    /// Maps what images hold into the memories of an instance, whose data nobody has copied yet.
    pub(super) fn map_initial_memories<'a>(
        &mut self,
        instance: usize,
        loaded: &'a LoadedModule,
    ) -> MappedRuns<'a> {
        let initial = loaded.initial_memories();
        let mut mapped = SmallVec::new();
        if let Some(InitialMemories { file, runs, .. }) = initial {
            for MemoryRun { memory, run } in runs {
                let memory = self.instances[instance].memories[*memory] as usize;
                mapped.push(self.memories[memory].map_run(file, run));
            }
        }
        MappedRuns { initial, mapped }
    }
}

#[cfg(test)]
mod tests {
    use super::{GAP_BYTES_MAX, InitialMemories, STRETCH_BYTES_MIN, STRETCHES_MAX};
    use crate::memory::IMAGE_PAGE_BYTES as PAGE;
    use upshift_module::{DecodeOptions, Module};

    /// As long as it takes.
    const LONG: usize = STRETCH_BYTES_MIN;

    /// Ends of what is mapped, in the order of the file, and which segments are in it.
    type Expected<'a> = (&'a [(usize, usize)], &'a [bool]);

    /// Segments are offsets, as text, and lengths; the memory has 16 MiB.
    fn check(memory: &str, segments: &[(String, usize)], expected: Expected<'_>) {
        let mut text = format!(r#"(module (import "" "g" (global $g i32)) {memory}"#);
        for (offset, len) in segments {
            text += &format!(r#"(data (offset {offset}) "{}")"#, "x".repeat(*len));
        }
        let bytes = wat::parse_str(text + ")").unwrap();
        let module = Module::new(bytes, &DecodeOptions::default()).unwrap();
        let initial = InitialMemories::new(&module);
        let (mut ends, mut held, mut file_at) = (Vec::new(), vec![false; segments.len()], 0);
        if let Some(initial) = &initial {
            for (i, run_of) in initial.run_of.iter().enumerate() {
                held[i] = run_of.is_some();
            }
            for run in &initial.runs {
                assert_eq!((run.memory, run.run.file_at), (0, file_at));
                assert_eq!(run.run.memory_at % PAGE + run.run.bytes % PAGE, 0);
                file_at += run.run.bytes as u64;
                ends.push((run.run.memory_at, run.run.memory_at + run.run.bytes));
            }
        }
        assert_eq!((&*ends, &*held), expected, "{memory} {segments:?}");
    }

    fn at(offset: usize, len: usize) -> (String, usize) {
        (format!("(i32.const {offset})"), len)
    }

    #[test]
    fn what_is_mapped() {
        let end = LONG.next_multiple_of(PAGE);
        let memory_end = 256 << 16;
        let far = 8 << 20;
        let rows: &[(&[(String, usize)], Expected<'_>)] = &[
            (&[], (&[], &[])),
            (&[at(0, LONG - 1)], (&[], &[false])),
            (&[at(0, LONG)], (&[(0, end)], &[true])),
            (&[at(PAGE - 1, LONG)], (&[(0, end + PAGE)], &[true])),
            (
                &[at(memory_end - LONG, LONG), at(memory_end, 0)],
                (&[(memory_end - end, memory_end)], &[true, false]),
            ),
            // Neighbours and what overlaps, whatever its order.
            (
                &[at(far, 1), at(PAGE, LONG), at(0, 1), at(PAGE + 5, LONG)],
                (
                    &[(0, PAGE + (5 + LONG).next_multiple_of(PAGE))],
                    &[false, true, true, true],
                ),
            ),
            (
                &[at(0, LONG / 2), at(LONG / 2, LONG / 2)],
                (&[(0, end)], &[true, true]),
            ),
            // Gaps.
            (
                &[at(0, LONG), at(end + GAP_BYTES_MAX, 1)],
                (&[(0, end + GAP_BYTES_MAX + PAGE)], &[true, true]),
            ),
            (
                &[at(0, LONG), at(end + GAP_BYTES_MAX + PAGE, 1)],
                (&[(0, end)], &[true, false]),
            ),
            // Larger ones come first.
            (
                &[at(0, LONG), at(far, 2 * LONG)],
                (&[(far, far + 2 * end), (0, end)], &[true, true]),
            ),
        ];
        for (segments, expected) in rows {
            check("(memory 256)", segments, *expected);
        }
    }

    #[test]
    fn where_the_prefix_ends() {
        let end = LONG.next_multiple_of(PAGE);
        let memory_end = 256 << 16;
        let far = 8 << 20;
        let global = ("(global.get $g)".to_owned(), 1);
        let sum = ("(i32.add (i32.const 1) (i32.const 2))".to_owned(), 1);
        let rows: &[(&[(String, usize)], Expected<'_>)] = &[
            (
                &[at(0, LONG), global.clone(), at(far, LONG)],
                (&[(0, end)], &[true, false, false]),
            ),
            (
                &[at(0, LONG), sum, at(far, LONG)],
                (&[(0, end)], &[true, false, false]),
            ),
            (
                &[at(0, LONG), at(memory_end, 1), at(far, LONG)],
                (&[(0, end)], &[true, false, false]),
            ),
            (
                &[at(0, LONG), at(memory_end + 1, 0), at(far, LONG)],
                (&[(0, end)], &[true, false, false]),
            ),
            (
                &[at(u32::MAX as usize, LONG), at(0, LONG)],
                (&[], &[false, false]),
            ),
            (&[global, at(0, LONG)], (&[], &[false, false])),
        ];
        for (segments, expected) in rows {
            check("(memory 256)", segments, *expected);
        }
        let none = [false, false];
        check(
            r#"(import "" "m" (memory 256))"#,
            &[at(0, LONG), at(far, LONG)],
            (&[], &none),
        );
    }

    #[test]
    fn few_mappings() {
        let distance = LONG.next_multiple_of(PAGE) + GAP_BYTES_MAX + PAGE;
        let segments: Vec<_> = (0..=STRETCHES_MAX)
            .map(|i| at(i * distance, LONG))
            .collect();
        let ends: Vec<_> = (0..STRETCHES_MAX)
            .map(|i| (i * distance, i * distance + LONG.next_multiple_of(PAGE)))
            .collect();
        let held: Vec<_> = (0..=STRETCHES_MAX).map(|i| i < STRETCHES_MAX).collect();
        check("(memory 256)", &segments, (&ends, &held));
    }
}
