//! What travels between decoding, running and answering.

use super::body::Layout;
use super::image::Picture;
use super::report::push_escaped;
use super::tabular::Filled;
use super::text::Text;
use crate::tensor::Tensor;

/// Texts of more bytes than this are worth a hop to a pool.
const HEAVY_BYTES: usize = 2048;

/// So are pictures of more pixels.
const HEAVY_PIXELS: u64 = 64 * 64;

/// Bytes of a pixel while a picture is unpacked: as it was, and as three channels of eight bits.
const PIXEL_BYTES: u64 = 6;

/// Bounds on a body, beyond its bytes.
#[derive(Clone, Copy, Debug)]
pub struct DecodeLimits {
    /// Most instances of one request.
    pub max_instances: usize,
    /// Deepest nesting.
    pub max_depth: usize,
    /// Most bytes of the tensors that a body is decoded into: a short text can stand for large ones.
    pub max_bytes: u64,
    /// Most pixels of one picture, held against its header before it is unpacked.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_instances: 1024, max_depth: 64, max_bytes: 64 << 20, max_pixels: 25_000_000 }
    }
}

/// A decoded body, not yet ready to run.
#[derive(Clone, Debug)]
pub struct Decoded {
    pub(super) payload: Payload,
    pub(super) reply: Reply,
    pub(super) input_length: u64,
    /// What the tensors that are made of it may take.
    pub(super) max_bytes: u64,
    /// What of a table's features the caller left out.
    pub(super) filled: Filled,
}

/// The instances of a decoded body.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Tensors(Vec<Tensor>),
    Texts(Vec<Text>),
    Pictures(Vec<Picture>),
}

impl Decoded {
    pub(super) fn new(payload: Payload, layout: &Layout) -> Self {
        let input_length = match &payload {
            Payload::Tensors(tensors) => tensors.iter().map(|tensor| tensor.data().len() as u64).sum(),
            Payload::Texts(texts) => texts.iter().map(characters).sum(),
            Payload::Pictures(pictures) => pictures.iter().map(|picture| picture.bytes() as u64).sum(),
        };
        let reply = Reply {
            form: match (layout.columnar, layout.list) {
                (true, _) => Form::Columns,
                (false, true) => Form::List,
                (false, false) => Form::Bare,
            },
            place: layout.place,
            count: layout.count,
            top_k: layout.parameters.top_k,
            truncate: layout.parameters.truncate,
            row_tokens: None,
            dimensions: None,
        };
        Self { payload, reply, input_length, max_bytes: u64::MAX, filled: Filled::default() }
    }

    /// Bounds the tensors that will be made of it.
    pub(super) fn within(self, limits: &DecodeLimits) -> Self {
        Self { max_bytes: limits.max_bytes, ..self }
    }

    /// Notes what the caller left out.
    pub(super) fn filled(self, filled: Filled) -> Self {
        Self { filled, ..self }
    }

    /// Instances in the list form, without parameters.
    pub(super) fn list(payload: Payload, count: usize) -> Self {
        Self::new(payload, &Layout { place: Place::LIST, list: true, count, ..Layout::default() })
    }

    /// One instance that is the whole body.
    pub(super) fn bare(payload: Payload) -> Self {
        Self::new(payload, &Layout { list: false, count: 1, ..Layout::default() })
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.reply.count
    }

    /// Bytes of text or pictures that are still to be made tensors; nothing for numbers.
    pub fn work_estimate(&self) -> usize {
        match &self.payload {
            Payload::Tensors(_) => 0,
            Payload::Texts(texts) => texts.iter().map(Text::length).sum(),
            Payload::Pictures(pictures) => pictures.iter().map(Picture::bytes).sum(),
        }
    }

    /// Bytes that the decoded instances hold; for pictures also what the largest takes unpacked.
    pub fn bytes(&self) -> u64 {
        match &self.payload {
            Payload::Tensors(tensors) => tensors.iter().map(|tensor| tensor.data().raw_len() as u64).sum(),
            Payload::Texts(_) => self.work_estimate() as u64,
            Payload::Pictures(pictures) => {
                let most = pictures.iter().map(Picture::pixel_count).max().unwrap_or(0);
                self.work_estimate() as u64 + most.saturating_mul(PIXEL_BYTES)
            }
        }
    }

    /// True when `encode` should not run where the request is.
    pub fn is_heavy(&self) -> bool {
        match &self.payload {
            Payload::Tensors(_) => false,
            Payload::Texts(_) => self.work_estimate() > HEAVY_BYTES,
            Payload::Pictures(pictures) => {
                pictures.iter().map(Picture::pixel_count).sum::<u64>() > HEAVY_PIXELS
            }
        }
    }
}

fn characters(text: &Text) -> u64 {
    let pair = text.pair.as_ref().map_or(0, |pair| pair.chars().count());
    (text.text.chars().count() + pair + text.ids.len()) as u64
}

/// Rows ready to run.
#[derive(Clone, Debug)]
pub struct Rows {
    /// One tensor per input, in the signature's order.
    pub inputs: Vec<Tensor>,
    /// How many rows they hold.
    pub rows: usize,
    /// What the answer will need.
    pub reply: Reply,
    /// Characters of text, features, bytes of pictures, or elements of tensors.
    pub input_length: u64,
    /// Tokens of all rows, without padding; none where there are no texts.
    pub tokens: Option<u64>,
    /// Tokens of each row, without padding; none where the graph takes one width only.
    pub row_tokens: Option<Vec<u32>>,
    /// Instances whose text was cut.
    pub truncated: usize,
    /// What of the features the caller left out.
    pub filled: Filled,
}

impl Rows {
    /// Rows of numbers or pictures, all of them given.
    pub(super) fn without_tokens(
        (inputs, rows): (Vec<Tensor>, usize),
        reply: Reply,
        input_length: u64,
    ) -> Self {
        let filled = Filled::default();
        Self { inputs, rows, reply, input_length, tokens: None, row_tokens: None, truncated: 0, filled }
    }
}

/// What of a request its answer depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(super) form: Form,
    pub(super) place: Place,
    pub(super) count: usize,
    pub(super) top_k: Option<usize>,
    pub(super) truncate: Option<bool>,
    pub(super) row_tokens: Option<Vec<u32>>,
    /// Components that an embedding is cut to.
    pub(super) dimensions: Option<usize>,
}

impl Reply {
    /// True when the answer holds all predictions, false for one bare instance.
    pub fn is_list(&self) -> bool {
        self.form != Form::Bare
    }

    /// True when the instances came as `inputs`.
    pub(super) fn is_columnar(&self) -> bool {
        self.form == Form::Columns
    }

    /// How many predictions there will be.
    pub fn count(&self) -> usize {
        self.count
    }
}

/// How the answer is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bare,
    List,
    /// A list of what came as `inputs`.
    Columns,
}

/// Where in the body the instances stood, for pointers of what only shows later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// The one instance is the whole body.
    #[default]
    Whole,
    /// It is this member.
    Only(&'static str),
    /// Elements of this member.
    Element(&'static str),
    /// Columns in this member.
    Columns(&'static str),
    /// Rows of a split table in this member.
    Table(&'static str),
}

impl Place {
    /// The elements of `instances`.
    pub(super) const LIST: Self = Self::Element("instances");

    /// The pointer to instance `row`, of which `name` is the member that counts.
    pub(super) fn instance(self, row: usize, name: &str) -> String {
        match self {
            Self::Whole => String::new(),
            Self::Only(word) => format!("/{word}"),
            Self::Element(word) => format!("/{word}/{row}"),
            Self::Columns(word) => format!("/{word}/{name}/{row}"),
            Self::Table(word) => format!("/{word}/data/{row}"),
        }
    }

    /// The pointer to the member `name` of instance `row`.
    pub(super) fn member(self, row: usize, name: &str) -> String {
        let mut escaped = String::new();
        push_escaped(&mut escaped, name);
        match self {
            Self::Whole => format!("/{escaped}"),
            Self::Element(word) => format!("/{word}/{row}/{escaped}"),
            Self::Columns(_) | Self::Only(_) | Self::Table(_) => self.instance(row, &escaped),
        }
    }
}
