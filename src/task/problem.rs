//! What can go wrong in this room: with a model's description, a caller's input, a graph's output.
//!
//! Texts say what was expected and what came (type, length, shape), never a value.

/// Most characters of a detail.
const DETAIL_CHARS: usize = 256;

/// Why a model can't be served as described. Told at load, all at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.join("; "))]
pub struct TaskError {
    /// Every problem found, each a sentence for the model's owner.
    pub problems: Vec<String>,
}

impl TaskError {
    pub(super) fn one(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()] }
    }

    /// The problems of all of `errors`.
    pub(super) fn all(errors: impl IntoIterator<Item = Self>) -> Self {
        Self { problems: errors.into_iter().flat_map(|error| error.problems).collect() }
    }

    /// `Ok` when nothing was found.
    pub(super) fn unless_empty(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

/// The codes of the contract's error table that this room can raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputErrorCode {
    /// A wrong type, a duplicate, something empty.
    InvalidInput,
    /// A number that its element type can't hold.
    NumberOutOfRange,
    /// A text with more tokens than the model takes.
    InputTooLong,
    /// A tensor of another shape than the signature's.
    ShapeMismatch,
    /// A member that nobody asked for.
    UnknownInput,
    /// A member that has to be there.
    MissingInput,
    /// More instances than allowed.
    BatchTooLarge,
    /// More bytes of decoded tensors than allowed.
    TooLarge,
}

impl InputErrorCode {
    /// The code as written in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NumberOutOfRange => "number_out_of_range",
            Self::InputTooLong => "input_too_long",
            Self::ShapeMismatch => "shape_mismatch",
            Self::UnknownInput => "unknown_input",
            Self::MissingInput => "missing_input",
            Self::BatchTooLarge => "batch_too_large",
            Self::TooLarge => "payload_too_large",
        }
    }
}

/// A caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InputError {
    /// Which of the closed set of mistakes.
    pub code: InputErrorCode,
    /// JSON pointer (RFC 6901) to the part at fault; none for the whole body.
    pub pointer: Option<String>,
    /// What was expected and what came, at most 256 characters.
    pub detail: String,
}

impl InputError {
    /// An error of a protocol's own, at `pointer`.
    pub fn at(code: InputErrorCode, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(code, pointer.into(), detail)
    }

    /// An `invalid_input` of the whole body.
    pub(super) fn whole(detail: impl Into<String>) -> Self {
        Self::new(InputErrorCode::InvalidInput, String::new(), detail)
    }

    /// The refusal of a body that would take more than `most` bytes.
    pub(super) fn too_large(most: u64) -> Self {
        let detail = format!("expected at most {most} bytes once decoded, got more");
        Self::new(InputErrorCode::TooLarge, String::new(), detail)
    }

    /// An error at `pointer`, where the empty pointer is the whole body.
    pub(super) fn new(code: InputErrorCode, pointer: String, detail: impl Into<String>) -> Self {
        let pointer = (!pointer.is_empty()).then_some(pointer);
        Self { code, pointer, detail: shortened(detail.into(), DETAIL_CHARS) }
    }
}

/// A graph's output that can't be answered with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// NaN or an infinity, which JSON can't carry.
    #[error("output {output} is not finite")]
    NonFinite {
        /// The output's name.
        output: String,
    },
    /// Another shape, type or number of outputs than the signature promised.
    #[error("{0}")]
    Shape(String),
}

/// `text` cut to `limit` characters, with an ellipsis where something is missing.
pub(super) fn shortened(mut text: String, limit: usize) -> String {
    // A character has at least one byte: short texts need no counting.
    if text.len() > limit
        && let Some((cut, _)) = text.char_indices().nth(limit)
    {
        let start = text[..cut].char_indices().next_back().map_or(0, |(index, _)| index);
        text.truncate(start);
        text.push('…');
    }
    text
}

/// What a caller called something, fit for a detail: short and without control characters.
pub(super) fn presentable(name: &str) -> String {
    let clean = name.chars().take(65).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    shortened(clean, 64)
}
