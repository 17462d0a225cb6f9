//! The names of a graph's classes, as exporters leave them in it.
//!
//! They stand in the `ZipMap` behind the scores, in the classifier behind the label, or in the table
//! out of which the label is picked (`ArrayFeatureExtractor`, `Gather`). An ensemble holds other
//! classifiers, with labels of their own, so the way leads back from the graph's outputs.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

use super::protobuf::{Field, Payload, Wire, malformed};

const LONGEST_NAME: usize = 64 << 10;
const LONGEST_LABEL: usize = 4096;
const MOST_LABELS: usize = 1_000_000;
/// Larger tensors are no table of labels.
const MOST_TABLE_BYTES: usize = 1 << 20;

/// Attributes under which classifiers keep their labels.
const LABEL_ATTRIBUTES: [&[u8]; 3] = [b"classlabels_strings", b"classlabels_int64s", b"classlabels_ints"];

/// Operators that hand a label on in another form.
const HANDED_ON: [&str; 6] = ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];

/// Operators that pick labels out of a table, their first input.
const PICKED: [&str; 2] = ["ArrayFeatureExtractor", "Gather"];

/// Reads the class labels of the ONNX file at `path`; none where it names no classes.
///
/// # Errors
/// When the file can't be read or is malformed.
pub(super) fn read(path: &Path) -> io::Result<Vec<String>> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut wire = Wire::new(file);
    let mut graph = Graph::default();
    while let Some(field) = wire.next(end)? {
        let Payload::Bytes { end } = field.payload else { continue };
        if field.number == 7 {
            graph.read(&mut wire, end)?;
        }
        wire.skip_to(end)?;
    }
    Ok(graph.labels())
}

/// The main graph, as far as labels are concerned.
#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    /// Initializers of one dimension that hold strings or whole numbers.
    tables: HashMap<String, Vec<String>>,
    outputs: Vec<String>,
}

#[derive(Default)]
struct Node {
    operator: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    labels: Vec<String>,
}

impl Graph {
    fn labels(&self) -> Vec<String> {
        let mut producers = HashMap::new();
        for node in &self.nodes {
            producers.extend(node.outputs.iter().map(|output| (output.as_str(), node)));
        }
        let outputs = || self.outputs.iter().map(String::as_str);
        let zipped =
            outputs().filter_map(|output| producers.get(output)).find(|node| node.operator == "ZipMap");
        if let Some(node) = zipped.filter(|node| !node.labels.is_empty()) {
            return node.labels.clone();
        }
        if let Some(labels) = outputs().find_map(|output| self.behind(output, &producers)) {
            return labels.to_vec();
        }
        // A lone classifier is meant, whatever is done with its scores afterwards.
        let mut known: Vec<&[String]> = self.nodes.iter().map(|node| node.labels.as_slice()).collect();
        known.retain(|labels| !labels.is_empty());
        match known.as_slice() {
            [only, others @ ..] if others.iter().all(|labels| labels == only) => only.to_vec(),
            _ => Vec::new(),
        }
    }

    /// The labels out of which the values called `name` are.
    fn behind<'g>(&'g self, name: &'g str, producers: &HashMap<&str, &'g Node>) -> Option<&'g [String]> {
        let (mut name, mut seen) = (name, HashSet::new());
        loop {
            let node = *producers.get(name)?;
            if !seen.insert(name) {
                return None;
            }
            // A classifier's first output is its label; the second holds scores.
            if !node.labels.is_empty() && node.outputs.first().is_some_and(|output| output == name) {
                return Some(&node.labels);
            }
            let first = node.inputs.first()?;
            if PICKED.contains(&node.operator.as_str()) {
                return self.tables.get(first).map(Vec::as_slice);
            }
            if !HANDED_ON.contains(&node.operator.as_str()) {
                return None;
            }
            name = first;
        }
    }

    fn read<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, end: u64) -> io::Result<()> {
        while let Some(field) = wire.next(end)? {
            let Payload::Bytes { end } = field.payload else { continue };
            match field.number {
                1 => self.nodes.push(Node::read(wire, end)?),
                5 => {
                    if let Some((name, labels)) = Table::read(wire, end)? {
                        self.tables.insert(name, labels);
                    }
                }
                12 => self.outputs.push(first_text(wire, end)?),
                _ => {}
            }
            wire.skip_to(end)?;
        }
        Ok(())
    }
}

/// The text in a message's first field, its name.
fn first_text<R: io::Read + io::Seek>(wire: &mut Wire<R>, end: u64) -> io::Result<String> {
    let mut name = String::new();
    while let Some(field) = wire.next(end)? {
        let Payload::Bytes { end } = field.payload else { continue };
        if field.number == 1 {
            name = text(wire, end)?;
        }
        wire.skip_to(end)?;
    }
    Ok(name)
}

fn text<R: io::Read + io::Seek>(wire: &mut Wire<R>, end: u64) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&wire.bytes(end, LONGEST_NAME)?).into_owned())
}

impl Node {
    fn read<R: io::Read + io::Seek>(wire: &mut Wire<R>, end: u64) -> io::Result<Self> {
        let mut node = Self::default();
        while let Some(field) = wire.next(end)? {
            let Payload::Bytes { end } = field.payload else { continue };
            match field.number {
                1 => node.inputs.push(text(wire, end)?),
                2 => node.outputs.push(text(wire, end)?),
                4 => node.operator = text(wire, end)?,
                5 => {
                    let labels = attribute(wire, end)?;
                    if !labels.is_empty() {
                        node.labels = labels;
                    }
                }
                _ => {}
            }
            wire.skip_to(end)?;
        }
        Ok(node)
    }
}

/// The labels in an attribute, if it is one that holds labels. Writers put an attribute's name before
/// its values; where one does not, its labels are not found and classes stay numbers.
fn attribute<R: io::Read + io::Seek>(wire: &mut Wire<R>, end: u64) -> io::Result<Vec<String>> {
    let (mut is_wanted, mut labels) = (false, Labels::default());
    while let Some(field) = wire.next(end)? {
        match (field.number, field.payload) {
            (1, Payload::Bytes { end }) => {
                let name = wire.bytes(end, LONGEST_NAME)?;
                is_wanted = LABEL_ATTRIBUTES.contains(&name.as_slice());
            }
            (8, _) if is_wanted => labels.integers(wire, field)?,
            (9, Payload::Bytes { end }) if is_wanted => labels.string(wire, end)?,
            _ => {}
        }
        if let Payload::Bytes { end } = field.payload {
            wire.skip_to(end)?;
        }
    }
    Ok(labels.0)
}

#[derive(Default)]
struct Labels(Vec<String>);

impl Labels {
    fn push(&mut self, label: String) -> io::Result<()> {
        if self.0.len() == MOST_LABELS {
            return Err(malformed("too many class labels"));
        }
        self.0.push(label);
        Ok(())
    }

    fn string<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, end: u64) -> io::Result<()> {
        let label = wire.bytes(end, LONGEST_LABEL)?;
        self.push(String::from_utf8(label).map_err(|_| malformed("a class label is not UTF-8"))?)
    }

    /// One number, or several packed ones.
    fn integers<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, field: Field) -> io::Result<()> {
        match field.payload {
            Payload::Varint(value) => self.push(value.cast_signed().to_string()),
            Payload::Bytes { end } => {
                while wire.is_before(end) {
                    let value = wire.varint(end)?.cast_signed();
                    self.push(value.to_string())?;
                }
                Ok(())
            }
            Payload::Fixed => Ok(()),
        }
    }
}

/// A tensor as a table of labels.
#[derive(Default)]
struct Table {
    dims: Labels,
    data_type: u64,
    name: String,
    labels: Labels,
    raw: Vec<u8>,
}

impl Table {
    /// `TensorProto.DataType`
    const INT32: u64 = 6;
    const INT64: u64 = 7;
    const STRING: u64 = 8;

    /// None for a tensor that is no such table.
    fn read<R: io::Read + io::Seek>(
        wire: &mut Wire<R>,
        end: u64,
    ) -> io::Result<Option<(String, Vec<String>)>> {
        let mut table = Self::default();
        if wire.length_to(end) > MOST_TABLE_BYTES as u64 {
            return Ok(None);
        }
        while let Some(field) = wire.next(end)? {
            match (field.number, field.payload) {
                (1, _) => table.dims.integers(wire, field)?,
                (2, Payload::Varint(data_type)) => table.data_type = data_type,
                (5 | 7, _) => table.labels.integers(wire, field)?,
                (6, Payload::Bytes { end }) => {
                    let label = wire.bytes(end, MOST_TABLE_BYTES)?;
                    table.labels.push(String::from_utf8_lossy(&label).into_owned())?;
                }
                (8, Payload::Bytes { end }) => table.name = text(wire, end)?,
                (9, Payload::Bytes { end }) => table.raw = wire.bytes(end, MOST_TABLE_BYTES)?,
                _ => {}
            }
            if let Payload::Bytes { end } = field.payload {
                wire.skip_to(end)?;
            }
        }
        Ok(table.settled())
    }

    fn settled(mut self) -> Option<(String, Vec<String>)> {
        let [count] = self.dims.0.as_slice() else { return None };
        if !matches!(self.data_type, Self::INT32 | Self::INT64 | Self::STRING) {
            return None;
        }
        let raw: Vec<String> = match self.data_type {
            Self::INT32 => {
                self.raw.as_chunks().0.iter().map(|raw| i32::from_le_bytes(*raw).to_string()).collect()
            }
            Self::INT64 => {
                self.raw.as_chunks().0.iter().map(|raw| i64::from_le_bytes(*raw).to_string()).collect()
            }
            _ => Vec::new(),
        };
        if !raw.is_empty() {
            self.labels.0 = raw;
        }
        (self.labels.0.len().to_string() == *count).then_some((self.name, self.labels.0))
    }
}
