//! What the compiler knows at a point of the body: where each operand and local is.

pub(crate) mod frame;
pub(crate) mod labels;
pub(crate) mod locals;
pub(crate) mod moves;
pub(crate) mod registers;
pub(crate) mod value;
