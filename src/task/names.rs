//! The members an instance may have, found by name.
//!
//! Clients nearly always send members in the order in which `GET` shows them: the expected one is
//! compared first, and only another one costs a hash.

use std::collections::HashMap;
use std::sync::Arc;

/// Names in order, with a way back from name to position.
#[derive(Debug)]
pub(super) struct Names {
    list: Vec<Arc<str>>,
    index: HashMap<Arc<str>, usize>,
}

impl Names {
    /// `Err` is a name that stands twice.
    pub(super) fn new(list: Vec<Arc<str>>) -> Result<Self, Arc<str>> {
        let mut index = HashMap::with_capacity(list.len());
        for (position, name) in list.iter().enumerate() {
            if index.insert(Arc::clone(name), position).is_some() {
                return Err(Arc::clone(name));
            }
        }
        Ok(Self { list, index })
    }

    /// No names at all.
    pub(super) fn none() -> Self {
        Self { list: Vec::new(), index: HashMap::new() }
    }

    /// The position of `name`, quickest when it is `expected`.
    #[inline]
    pub(super) fn find(&self, name: &str, expected: usize) -> Option<usize> {
        match self.list.get(expected) {
            Some(next) if **next == *name => Some(expected),
            _ => self.index.get(name).copied(),
        }
    }

    pub(super) fn list(&self) -> &[Arc<str>] {
        &self.list
    }

    /// The name that `wrong` was probably meant to be.
    pub(super) fn nearest(&self, wrong: &str) -> Option<&str> {
        // Long names are no slips of the finger, and the comparison is quadratic.
        if wrong.len() > 128 {
            return None;
        }
        let folded = wrong.to_lowercase();
        self.list
            .iter()
            .map(|name| (strsim::jaro_winkler(&folded, &name.to_lowercase()), name))
            .filter(|(similarity, _)| *similarity >= 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| &**name)
    }

    /// All names as one text, for hints.
    pub(super) fn listed(&self) -> String {
        let shown: Vec<&str> = self.list.iter().take(8).map(|name| &**name).collect();
        let rest = if self.list.len() > shown.len() { ", …" } else { "" };
        format!("{}{rest}", shown.join(", "))
    }
}

/// Which members of one instance have come already.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    first: u64,
    rest: Vec<u64>,
    count: usize,
    /// Those that came as null, which is no value.
    nulls: Vec<usize>,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        self.first = 0;
        self.rest.clear();
        self.count = 0;
        self.nulls.clear();
    }

    /// Notes that member `index` came without a value.
    pub(super) fn set_null(&mut self, index: usize) {
        self.nulls.push(index);
        self.count -= 1;
    }

    /// Notes member `index`; false when it was there before.
    #[inline]
    pub(super) fn insert(&mut self, index: usize) -> bool {
        let word = if index < 64 {
            &mut self.first
        } else {
            let at = index / 64 - 1;
            if self.rest.len() <= at {
                self.rest.resize(at + 1, 0);
            }
            &mut self.rest[at]
        };
        let bit = 1 << (index % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += usize::from(new);
        new
    }

    /// True when member `index` has a value.
    pub(super) fn contains(&self, index: usize) -> bool {
        let word = if index < 64 { self.first } else { self.rest.get(index / 64 - 1).copied().unwrap_or(0) };
        word & (1 << (index % 64)) != 0 && !self.nulls.contains(&index)
    }

    /// How many members have a value.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}
