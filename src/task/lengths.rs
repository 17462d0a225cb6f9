//! How wide the rows of texts are, before there are any.

use super::request::Payload;
use super::text::TextInput;
use super::{Decoded, Rows, Task};

/// Most bytes that a token takes in all inputs of a graph.
const TOKEN_BYTES: usize = 32;

impl Task {
    /// About how wide the rows of `decoded` will be, where making them is work that is sure to succeed: so
    /// that a request which would be refused anyway can be refused without it.
    pub fn foreseen_width(&self, decoded: &Decoded) -> Option<usize> {
        let Payload::Texts(texts) = &decoded.payload else { return None };
        let width = self.text_input()?.foreseen_tokens(texts, decoded.reply.truncate);
        // Padded to the longest they must not take more than a body may.
        width.filter(|_| (decoded.work_estimate() * texts.len() * TOKEN_BYTES) as u64 <= decoded.max_bytes)
    }

    /// Whether rows are tokens, as many as their text has.
    pub fn has_tokens(&self) -> bool {
        self.text_input().is_some_and(TextInput::has_free_length)
    }

    /// One row of as many tokens as the longest text that the model takes, at most `most`; none where rows
    /// have no tokens.
    pub fn longest_row(&self, most: usize) -> Option<Rows> {
        self.text_input().filter(|input| input.has_free_length())?.longest_row(most)
    }

    pub(super) fn text_input(&self) -> Option<&TextInput> {
        match self {
            Self::TextClassification(task) => Some(task.input()),
            Self::Embedding(task) => Some(task.input()),
            Self::Tensors(_) | Self::Tabular(_) | Self::Image(_) => None,
        }
    }
}
