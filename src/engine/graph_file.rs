//! What is read from an ONNX file before the runtime sees it: where its external data lies, the
//! names of its classes, and which inputs and outputs declare no shape (the runtime shows
//! those as scalars).
//!
//! A walk over the protobuf by field numbers (onnx.proto, IR version 3 to 13), through every place
//! that can hold a tensor: initializers, attributes, subgraphs, functions, training graphs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::class_labels;
use super::protobuf::{Field, Payload, Wire, malformed};

/// Protobuf's own limit, which the runtime keeps too.
const DEEPEST: usize = 100;
const LONGEST_LOCATION: usize = 4096;
const LONGEST_NAME: usize = 4096;
const MOST_LOCATIONS: usize = 100_000;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GraphFile {
    /// Files of external data, as written.
    pub(super) locations: BTreeSet<String>,
    /// The names of the classes.
    pub(super) class_labels: Vec<String>,
    /// Inputs and outputs that may have any rank.
    pub(super) shapeless: BTreeSet<String>,
}

/// Reads the ONNX file at `path`.
pub(super) fn read(path: &Path) -> io::Result<GraphFile> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    if end == 0 {
        return Err(malformed("the file is empty"));
    }
    let mut walk = Walk { wire: Wire::new(file), found: GraphFile::default() };
    walk.message(Message::Model, end, 0)?;
    walk.found.class_labels = class_labels::read(path)?;
    Ok(walk.found)
}

/// The messages of onnx.proto that lead to tensors.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Training,
    Function,
}

impl Message {
    /// The message in field `number` of this one, if it leads to tensors.
    const fn child(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            _ => return None,
        })
    }
}

struct Walk<R> {
    wire: Wire<R>,
    found: GraphFile,
}

impl<R: io::Read + io::Seek> Walk<R> {
    fn message(&mut self, message: Message, end: u64, depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(malformed("messages are nested too deep"));
        }
        let mut booleans = Booleans::default();
        while let Some(field) = self.wire.next(end)? {
            if let Message::Tensor = message {
                booleans.check(&mut self.wire, field)?;
            }
            let Payload::Bytes { end } = field.payload else { continue };
            match (message, field.number) {
                (Message::Tensor, 13) => self.external_data(end)?,
                (Message::Graph, 11 | 12) if depth == 1 => self.outlet(end)?,
                _ => {
                    if let Some(child) = message.child(field.number) {
                        self.message(child, end, depth + 1)?;
                    }
                }
            }
            if self.wire.is_before(end) {
                self.wire.skip_to(end)?;
            }
        }
        Ok(())
    }

    /// One input or output of the main graph: a name, and a type that may or may not have a shape.
    fn outlet(&mut self, end: u64) -> io::Result<()> {
        let (mut name, mut has_shape) = (Vec::new(), true);
        while let Some(field) = self.wire.next(end)? {
            let Payload::Bytes { end } = field.payload else { continue };
            match field.number {
                1 => name = self.wire.bytes(end, LONGEST_NAME)?,
                2 => has_shape = self.tensor_has_shape(end)?,
                _ => self.wire.skip_to(end)?,
            }
        }
        if !has_shape {
            self.found.shapeless.insert(String::from_utf8_lossy(&name).into_owned());
        }
        Ok(())
    }

    /// Whether a type is of another kind than tensor or has a shape.
    fn tensor_has_shape(&mut self, end: u64) -> io::Result<bool> {
        let mut has_shape = true;
        while let Some(field) = self.wire.next(end)? {
            let Payload::Bytes { end } = field.payload else { continue };
            if field.number != 1 {
                self.wire.skip_to(end)?;
                continue;
            }
            has_shape = false;
            while let Some(field) = self.wire.next(end)? {
                let Payload::Bytes { end } = field.payload else { continue };
                has_shape |= field.number == 2;
                self.wire.skip_to(end)?;
            }
        }
        Ok(has_shape)
    }

    /// One key and value of a tensor's external data; the key `location` names a file.
    fn external_data(&mut self, end: u64) -> io::Result<()> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        while let Some(field) = self.wire.next(end)? {
            let Payload::Bytes { end } = field.payload else { continue };
            match field.number {
                1 => key = self.wire.bytes(end, LONGEST_LOCATION)?,
                2 => value = self.wire.bytes(end, LONGEST_LOCATION)?,
                _ => self.wire.skip_to(end)?,
            }
        }
        if key == b"location" {
            let location = String::from_utf8(value).map_err(|_| malformed("a location is not UTF-8"))?;
            self.found.locations.insert(location);
            if self.found.locations.len() > MOST_LOCATIONS {
                return Err(malformed("too many files of external data"));
            }
        }
        Ok(())
    }
}

/// The check that a tensor of truth values holds zeros and ones: the runtime hands its bytes on as
/// they are, and any other would not be a `bool`.
#[derive(Default)]
struct Booleans {
    are_meant: bool,
    raw_data_came: bool,
}

impl Booleans {
    /// `TensorProto.DataType.BOOL`
    const BOOL: u64 = 9;

    fn check<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, field: Field) -> io::Result<()> {
        match (field.number, field.payload) {
            (2, Payload::Varint(data_type)) if data_type == Self::BOOL => {
                if self.raw_data_came {
                    return Err(malformed("a tensor's type stands behind its data"));
                }
                self.are_meant = true;
            }
            (9, Payload::Bytes { end }) => {
                self.raw_data_came = true;
                if self.are_meant && !wire.all_bytes(end, |byte| byte <= 1)? {
                    return Err(malformed("a truth value is neither 0 nor 1"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
