//! The program as its users meet it: exit codes, messages, outputs, the examples.
#![forbid(unsafe_code)]

mod corpus;
mod examples;
mod observe;
mod program;
mod schedules;
mod support;
