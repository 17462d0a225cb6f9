//! A model's sessions that run nothing now, and which of them is next.

use std::collections::VecDeque;

use super::DeviceKind;
use crate::engine::Run;

/// Free sessions, in the order in which they came back.
pub(super) struct FreeSessions {
    sessions: VecDeque<Box<dyn Run>>,
    device: DeviceKind,
}

impl FreeSessions {
    pub(super) fn new(sessions: Vec<Box<dyn Run>>, device: DeviceKind) -> Self {
        Self { sessions: sessions.into(), device }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Over how many of `slots` what waits may be dealt out: two halves of a batch share an accelerator and take as
    /// long as the whole.
    pub(super) fn worth_sharing(&self, slots: usize) -> usize {
        match self.device {
            DeviceKind::Cores => slots.min(self.len()),
            DeviceKind::Accelerator => 1,
        }
    }

    /// On cores the one that ran last, whose memory is warm; of an accelerator's the one that has rested longest,
    /// so that all devices of a model get their share.
    pub(super) fn take(&mut self) -> Option<Box<dyn Run>> {
        match self.device {
            DeviceKind::Cores => self.sessions.pop_back(),
            DeviceKind::Accelerator => self.sessions.pop_front(),
        }
    }

    pub(super) fn give_back(&mut self, session: Box<dyn Run>) {
        self.sessions.push_back(session);
    }

    /// Gives up all of them.
    pub(super) fn drain(&mut self) -> Vec<Box<dyn Run>> {
        std::mem::take(&mut self.sessions).into()
    }
}
