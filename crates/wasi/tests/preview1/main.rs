//! Calls of the interface on a plain buffer as memory, without an engine.

#[cfg(test)]
mod append;
#[cfg(test)]
mod bad_arguments;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod directories;
#[cfg(test)]
mod escapes;
#[cfg(test)]
mod guest;
#[cfg(test)]
mod poll;
#[cfg(test)]
mod process;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod streams;
