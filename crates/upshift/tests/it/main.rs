//! Tests of the host API, through both tiers, in one binary.
//!
//! `cfg(test)` is always on here; it tells clippy that the modules are tests.

#[cfg(test)]
mod backtraces;
#[cfg(test)]
mod host_functions;
#[cfg(test)]
mod initial_memories;
#[cfg(test)]
mod inlining;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod items;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod linking;
#[cfg(test)]
mod nesting;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod reclaim;
#[cfg(test)]
mod reentry;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod support;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod tier_up;
#[cfg(test)]
mod values;
