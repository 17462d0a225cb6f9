//! The `text-embedding` task: text in, one vector out.

mod pool;
#[cfg(test)]
mod tests;

use super::answer::Content;
use super::parameters::Accepted;
use super::text::{Surroundings, TextBuilder, TextInput};
use super::{OutputError, Reply, TaskError, TaskSpec};
use crate::tensor::Tensor;
use pool::Pool;

/// Text in, one vector out.
#[derive(Debug)]
pub struct Embedding {
    input: TextInput,
    pool: Pool,
}

impl Embedding {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        match (TextInput::build(spec, Surroundings::Trimmed), Pool::build(spec)) {
            (Ok(input), Ok(pool)) => Ok(Self { input, pool }),
            (input, pool) => Err(TaskError::all(input.err().into_iter().chain(pool.err()))),
        }
    }

    pub(super) fn input(&self) -> &TextInput {
        &self.input
    }

    /// How tokens become one vector, for people.
    pub(super) fn pooling_note(&self) -> String {
        self.pool.told()
    }

    pub(super) fn width(&self) -> Option<usize> {
        self.pool.width()
    }

    pub(super) fn builder(&self) -> TextBuilder<'_> {
        self.input.builder(Accepted { truncate: true, top_k: false })
    }

    /// The vectors of `outputs`.
    pub(super) fn content<'a>(
        &self,
        outputs: &'a [Tensor],
        reply: &Reply,
    ) -> Result<Content<'a>, OutputError> {
        let tokens = reply.row_tokens.clone().unwrap_or_default();
        if tokens.len() != reply.count {
            return Err(OutputError::Shape("token counts are missing".into()));
        }
        let (vectors, width) = self.pool.vectors(outputs, &tokens)?;
        Ok(Content::Embeddings { vectors, width, tokens })
    }
}
