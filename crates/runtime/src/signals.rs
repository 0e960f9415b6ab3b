//! Signals (skeleton).

/// Installs the handlers.
pub fn install_signal_handlers() {}
