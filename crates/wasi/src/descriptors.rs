//! The adapter's own descriptor table, beside the provider's: what can be polled, and which rights are gone.

use crate::ready::Ready;
use crate::rights::Rights;
use std::collections::HashMap;

/// What a descriptor stands for.
pub(crate) enum Kind {
    File(Box<dyn Ready>),
    Dir,
}

/// An open descriptor.
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    /// Rights that the guest has given up for this descriptor.
    pub(crate) removed: Rights,
    /// Rights that the guest has given up for what is opened through this directory.
    pub(crate) removed_inheriting: Rights,
}

/// All open descriptors of a guest.
#[derive(Default)]
pub(crate) struct Descriptors(HashMap<u32, Descriptor>);

impl Descriptors {
    pub(crate) fn get(&self, fd: u32) -> Option<&Descriptor> {
        self.0.get(&fd)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Option<&mut Descriptor> {
        self.0.get_mut(&fd)
    }

    /// Adds a descriptor that has lost no right.
    pub(crate) fn insert(&mut self, fd: u32, kind: Kind) {
        self.insert_child(fd, kind, Rights::default());
    }

    /// Adds a descriptor that was opened through a directory which had given up `removed` for its children.
    pub(crate) fn insert_child(&mut self, fd: u32, kind: Kind, removed: Rights) {
        let descriptor = Descriptor {
            kind,
            removed,
            removed_inheriting: removed,
        };
        self.0.insert(fd, descriptor);
    }

    /// Forgets a closed descriptor.
    pub(crate) fn remove(&mut self, fd: u32) {
        self.0.remove(&fd);
    }

    /// Follows a `fd_renumber` that succeeded.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) {
        if let Some(descriptor) = self.0.remove(&from) {
            self.0.insert(to, descriptor);
        }
    }

    /// Whether the guest has given up a right of a descriptor.
    pub(crate) fn lacks(&self, fd: u32, right: Rights) -> bool {
        self.get(fd)
            .is_some_and(|descriptor| descriptor.removed.intersects(right))
    }
}
