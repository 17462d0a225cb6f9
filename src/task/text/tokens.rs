//! Text as token ids: `tokenizer.json`, without the truncation and padding that may stand in it.

use tokenizers::tokenizer::{EncodeInput, Encoding, PostProcessor};
use tokenizers::{Tokenizer, TruncationDirection};

use super::Text;
use crate::model::{Dim, Side, TensorSpec, resolve_inside};
use crate::task::problem::InputErrorCode::{InputTooLong, InvalidInput};
use crate::task::{InputError, TaskError, TaskSpec};
use crate::tensor::{DataType, Tensor};

/// Turns texts into the inputs of a graph.
pub(super) struct Encoder {
    tokenizer: Tokenizer,
    inputs: Vec<(Role, DataType)>,
    pad_id: u32,
    pad_type_id: u32,
    max_length: Option<usize>,
    /// The signature's sequence length, where it is fixed.
    width: Option<usize>,
    /// Special tokens around one text, and around a pair.
    added: [usize; 2],
    /// The end that is cut off.
    cut_at: TruncationDirection,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The vocabulary would fill pages.
        f.debug_struct("Encoder")
            .field("inputs", &self.inputs)
            .field("max_length", &self.max_length)
            .finish_non_exhaustive()
    }
}

/// What an input of the graph holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Ids,
    Mask,
    Types,
    Positions,
}

/// The tokens of one instance, special ones included.
pub(super) struct Row {
    ids: Vec<u32>,
    types: Vec<u32>,
    pub(super) truncated: bool,
}

impl Row {
    /// The number of tokens.
    pub(super) fn length(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }
}

impl Encoder {
    pub(super) fn load(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let mut problems = Vec::new();
        let mut width = None;
        let inputs: Vec<_> =
            spec.signature.inputs.iter().filter_map(|input| role(input, &mut width, &mut problems)).collect();
        if !inputs.iter().any(|(role, _)| *role == Role::Ids) {
            problems.push("a text model needs an input called input_ids".to_owned());
        }
        let path = spec.manifest.tokenizer.as_deref().unwrap_or("tokenizer.json");
        let mut tokenizer = match load(spec, path) {
            Ok(tokenizer) => tokenizer,
            Err(problem) => {
                problems.push(problem);
                return Err(TaskError { problems });
            }
        };
        let (pad_id, pad_type_id) = match tokenizer.get_padding() {
            Some(padding) => (padding.pad_id, padding.pad_type_id),
            None => {
                (["[PAD]", "<pad>"].iter().find_map(|token| tokenizer.token_to_id(token)).unwrap_or(0), 0)
            }
        };
        tokenizer.with_padding(None);
        if tokenizer.with_truncation(None).is_err() {
            problems.push(format!("{path}: its truncation can't be switched off"));
        }
        let added = [false, true]
            .map(|pair| tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(pair)));
        let asked = spec.manifest.max_length.map(std::num::NonZeroUsize::get);
        let max_length = match (asked, width) {
            (Some(asked), Some(width)) => Some(asked.min(width)),
            (asked, width) => asked.or(width),
        };
        if let Some(most) = max_length.filter(|&most| most <= added[0]) {
            problems.push(format!("max_length: {most} leaves no room beside {} special tokens", added[0]));
        }
        TaskError::unless_empty(problems)?;
        let cut_at = match spec.manifest.truncation_side.unwrap_or_default() {
            Side::Left => TruncationDirection::Left,
            Side::Right => TruncationDirection::Right,
        };
        Ok(Self { tokenizer, inputs, pad_id, pad_type_id, max_length, width, added, cut_at })
    }

    pub(super) fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// True when a text of so many bytes, all of them ASCII, can't be too long: no token is shorter than a
    /// byte, and a tokenizer may put one before it.
    pub(super) fn surely_takes(&self, bytes: usize) -> bool {
        self.max_length.is_none_or(|most| bytes + self.added[1] + 2 <= most)
    }

    /// The tokens of `text`, cut to the model's length when `truncate` says so.
    pub(super) fn encode(
        &self,
        text: &Text,
        truncate: bool,
        pointer: &dyn Fn() -> String,
    ) -> Result<Row, InputError> {
        let rejected = |_| {
            InputError::new(InvalidInput, pointer(), "expected a text that the tokenizer takes, got another")
        };
        let input = || match &text.pair {
            Some(pair) => EncodeInput::Dual(text.text.as_str().into(), pair.as_str().into()),
            None => EncodeInput::Single(text.text.as_str().into()),
        };
        let encoding = self.tokenizer.encode_fast(input(), true).map_err(rejected)?;
        let length = encoding.get_ids().len();
        if length == 0 {
            return Err(InputError::new(
                InvalidInput,
                pointer(),
                "expected a text with at least one token, got none",
            ));
        }
        match self.max_length.filter(|&most| length > most) {
            None => Ok(row(&encoding, false)),
            Some(most) if truncate => {
                let cut = self.truncated(text, most).map_err(rejected)?;
                Ok(row(&cut, true))
            }
            Some(most) => Err(too_long(most, length, pointer())),
        }
    }

    /// A row of tokens that came as their ids, special ones included.
    pub(super) fn take(
        &self,
        ids: &[u32],
        truncate: bool,
        pointer: &dyn Fn() -> String,
    ) -> Result<Row, InputError> {
        if let Some(at) = ids.iter().position(|&id| self.tokenizer.id_to_token(id).is_none()) {
            let size = self.tokenizer.get_vocab_size(true);
            let detail =
                format!("expected ids of this model's own {size} tokens, got another at position {at}");
            return Err(InputError::new(InvalidInput, pointer(), detail));
        }
        let length = ids.len();
        let kept = match self.max_length.filter(|&most| length > most) {
            None => ids,
            Some(most) if truncate => match self.cut_at {
                TruncationDirection::Left => &ids[length - most..],
                TruncationDirection::Right => &ids[..most],
            },
            Some(most) => return Err(too_long(most, length, pointer())),
        };
        Ok(Row { ids: kept.to_vec(), types: vec![0; kept.len()], truncated: kept.len() < length })
    }

    /// Cuts the texts so that `most` tokens remain with the special ones around them: first the
    /// longer of a pair. Done here and not by the tokenizer, which keeps every piece it cuts off
    /// and for pairs combines them all.
    fn truncated(&self, text: &Text, most: usize) -> tokenizers::Result<Encoding> {
        let plain = |text: &str| self.tokenizer.encode_fast(text, false);
        let mut first = plain(&text.text)?;
        let mut second = text.pair.as_deref().map(plain).transpose()?;
        let room = most.saturating_sub(self.added[usize::from(second.is_some())]);
        let lengths = (first.get_ids().len(), second.as_ref().map_or(0, |second| second.get_ids().len()));
        let (keep_first, keep_second) = shares(lengths, room);
        self.cut(&mut first, keep_first);
        if let Some(second) = &mut second {
            second.set_type_ids(vec![1; second.get_ids().len()]);
            self.cut(second, keep_second);
        }
        self.tokenizer.post_process(first, second, true)
    }

    fn cut(&self, encoding: &mut Encoding, keep: usize) {
        encoding.truncate(keep, 0, self.cut_at);
        encoding.take_overflowing();
    }

    /// True when the graph takes rows of one width only.
    pub(super) fn has_fixed_width(&self) -> bool {
        self.width.is_some()
    }

    /// Tokens of each of `rows` once they are padded.
    fn width_of(&self, rows: &[Row]) -> usize {
        self.width.unwrap_or_else(|| rows.iter().map(|row| row.ids.len()).max().unwrap_or(0))
    }

    /// Bytes that [`tensors`](Self::tensors) will take.
    pub(super) fn tensor_bytes(&self, rows: &[Row]) -> u64 {
        let tokens = (rows.len() as u64).saturating_mul(self.width_of(rows) as u64);
        let widths = self.inputs.iter().filter_map(|(_, data_type)| data_type.width());
        tokens.saturating_mul(widths.map(|width| width as u64).sum())
    }

    /// The graph's inputs for `rows`, padded on the right.
    pub(super) fn tensors(&self, rows: &[Row]) -> Vec<Tensor> {
        let width = self.width_of(rows);
        let tensor = |&(role, data_type): &(Role, DataType)| {
            if data_type == DataType::Int32 {
                let ids = self.padded(rows, width, role, u32::cast_signed);
                Tensor::new(vec![rows.len(), width], ids)
            } else {
                let ids = self.padded(rows, width, role, i64::from);
                Tensor::new(vec![rows.len(), width], ids)
            }
            .expect("every row is padded to the width")
        };
        self.inputs.iter().map(tensor).collect()
    }

    fn padded<T: Clone>(&self, rows: &[Row], width: usize, role: Role, convert: fn(u32) -> T) -> Vec<T> {
        let mut padded = Vec::with_capacity(rows.len() * width);
        let padding = match role {
            Role::Ids => self.pad_id,
            Role::Mask | Role::Positions => 0,
            Role::Types => self.pad_type_id,
        };
        for (index, row) in rows.iter().enumerate() {
            match role {
                Role::Ids => padded.extend(row.ids.iter().copied().map(convert)),
                Role::Mask => padded.extend(row.ids.iter().map(|_| convert(1))),
                Role::Types => padded.extend(row.types.iter().copied().map(convert)),
                Role::Positions => padded.extend((0..row.length()).map(convert)),
            }
            padded.resize((index + 1) * width, convert(padding));
        }
        padded
    }
}

fn too_long(most: usize, length: usize, pointer: String) -> InputError {
    let detail = format!(
        "expected at most {most} tokens, special ones included, got {length}; \
         {{\"parameters\": {{\"truncate\": true}}}} cuts"
    );
    InputError::new(InputTooLong, pointer, detail)
}

fn row(encoding: &Encoding, truncated: bool) -> Row {
    Row { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec(), truncated }
}

/// How many tokens of two texts fit into `room`: the longer one gives first.
fn shares((first, second): (usize, usize), room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let short = first.min(second);
    let (short, long) = if 2 * short <= room { (short, room - short) } else { (room / 2, room - room / 2) };
    if first <= second { (short, long) } else { (long, short) }
}

fn role(
    input: &TensorSpec,
    width: &mut Option<usize>,
    problems: &mut Vec<String>,
) -> Option<(Role, DataType)> {
    let role = match &*input.name {
        "input_ids" => Role::Ids,
        "attention_mask" => Role::Mask,
        "token_type_ids" => Role::Types,
        "position_ids" => Role::Positions,
        other => {
            problems.push(format!(
                "input {other}: a text model takes input_ids, attention_mask, token_type_ids and position_ids only"
            ));
            return None;
        }
    };
    let integers = matches!(input.data_type, DataType::Int64 | DataType::Int32);
    if !integers || input.dims.len() != 2 {
        let came = format!("{} {}", input.data_type, input.shape_text());
        problems.push(format!("input {}: expected INT64 or INT32 of rank 2, got {came}", input.name));
        return None;
    }
    if let Dim::Fixed(size) = input.dims[1] {
        *width = Some(size);
    }
    Some((role, input.data_type))
}

fn load(spec: &TaskSpec<'_>, path: &str) -> Result<Tokenizer, String> {
    let file = resolve_inside(spec.root, spec.folder, path).map_err(|problem| {
        format!(
            "tokenizer: {problem}; a text model needs it (AutoTokenizer.from_pretrained(...).save_pretrained)"
        )
    })?;
    Tokenizer::from_file(file).map_err(|error| format!("tokenizer: {path}: {error}"))
}
