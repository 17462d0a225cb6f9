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
    /// Lengths that a vector may be cut to.
    dimensions: Vec<usize>,
}

impl Embedding {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        match (TextInput::build(spec, Surroundings::Trimmed), Pool::build(spec)) {
            (Ok(input), Ok(pool)) => {
                let named = spec.manifest.dimensions.iter().flatten();
                let dimensions: Vec<usize> = named.map(|length| length.get()).collect();
                if let Some((width, longer)) = pool
                    .width()
                    .and_then(|width| Some((width, dimensions.iter().find(|&&length| length > width)?)))
                {
                    let problem = format!("dimensions: {longer} is longer than a vector, which has {width}");
                    return Err(TaskError::one(problem));
                }
                Ok(Self { input, pool, dimensions })
            }
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

    /// Why a vector can't be cut to `length`; none where it can.
    pub(super) fn refuses_length(&self, length: usize) -> Option<String> {
        if self.width() == Some(length) || self.dimensions.contains(&length) {
            return None;
        }
        let own = self.width().map(|width| width.to_string());
        let known: Vec<String> = self.dimensions.iter().map(usize::to_string).chain(own).collect();
        Some(if known.is_empty() {
            "this model gives vectors of one length only".to_owned()
        } else {
            format!("expected a length that this model has ({}), got another", known.join(", "))
        })
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
        let (vectors, width) = self.pool.vectors(outputs, &tokens, reply.dimensions)?;
        Ok(Content::Embeddings { vectors, width, tokens })
    }
}
