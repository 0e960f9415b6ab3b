//! Plots as SVG: a canvas in pixels, scales and axes, and the timeline of tier-up that the `upshift` program and the benchmark
//! report share.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod axes;
pub mod canvas;
pub mod look;
pub mod timeline;
