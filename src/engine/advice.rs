//! What this CPU could use for a model and the model does not use: for `check`, which prints it.
//!
//! Advice names `tune`, which measures: nothing here promises a gain. Only graphs of many matrix
//! products get any; a tree ensemble gains nothing from narrower numbers, nor does a small network.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::protobuf::{Payload, Wire, malformed};
use super::{Runtime, graph_file};
use crate::model::{Precision, ProviderKind};

/// Graphs below this are not worth another provider.
const LARGE_BYTES: u64 = 16 << 20;
const LONGEST_OPERATOR: usize = 4096;
/// Operators whose time is matrix products.
const PRODUCTS: [&str; 6] = ["MatMul", "Gemm", "Conv", "FusedMatMul", "Attention", "MultiHeadAttention"];
/// Operators of graphs in eight bits.
const QUANTIZED: [&str; 6] = [
    "QLinearMatMul",
    "QLinearConv",
    "MatMulInteger",
    "ConvInteger",
    "DynamicQuantizeLinear",
    "DequantizeLinear",
];

/// How a loaded model runs.
#[derive(Clone, Copy, Debug)]
pub struct InUse<'a> {
    /// The graph's file.
    pub graph: &'a Path,
    /// The provider that is first in line, by its name.
    pub provider: &'a str,
    /// The device that it runs on.
    pub device: &'a str,
    /// The precision that the manifest asks for.
    pub precision: Precision,
}

/// What the model could use here and does not, a sentence each.
pub fn advice(runtime: &Runtime, in_use: &InUse<'_>) -> Vec<String> {
    if in_use.device != "cpu" {
        return Vec::new();
    }
    // A graph that was loaded can be read; if it is gone by now there is nothing to say of it.
    let Ok(graph) = Graph::read(in_use.graph) else { return Vec::new() };
    let has_openvino = runtime.has_provider(ProviderKind::Openvino);
    Choices { cpu: Cpu::detect(), has_openvino }.of(&graph, in_use)
}

/// The instructions that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cpu {
    bf16: bool,
    /// Products of 8-bit integers.
    int8: bool,
}

impl Cpu {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        let int8 = std::arch::is_x86_feature_detected!("avx512vnni")
            || std::arch::is_x86_feature_detected!("avxvnni");
        #[cfg(target_arch = "aarch64")]
        let int8 = std::arch::is_aarch64_feature_detected!("i8mm");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let int8 = false;
        Self { bf16: super::providers::cpu_has_bf16(), int8 }
    }
}

/// What there is to choose from.
struct Choices {
    cpu: Cpu,
    has_openvino: bool,
}

impl Choices {
    fn of(&self, graph: &Graph, in_use: &InUse<'_>) -> Vec<String> {
        let mut advice = Vec::new();
        if graph.bytes < LARGE_BYTES || !graph.has_any(&PRODUCTS) || graph.has_any(&QUANTIZED) {
            return advice;
        }
        if self.cpu.bf16 && in_use.precision == Precision::Fp32 {
            let provider = in_use.provider;
            let how = match (provider == ProviderKind::Openvino.name(), self.has_openvino) {
                (true, _) => "`tune` measures precision bf16 and whether the answers stay the same",
                (false, true) => {
                    "`tune` measures provider openvino with precision bf16, and whether the answers stay the same"
                }
                (false, false) => {
                    "provider openvino does, and this library lacks it: run `tune` in the image `openvino`"
                }
            };
            advice.push(format!(
                "this CPU has bfloat16 instructions, which fp32 on provider {provider} does not use; {how}"
            ));
        }
        if self.cpu.int8 {
            advice.push(
                "this CPU has instructions for products of 8-bit integers, which this graph does not use; \
                 `tune --variant PATH` measures a quantized variant and whether the answers stay the same"
                    .to_owned(),
            );
        }
        advice
    }
}

/// What counts of a graph.
#[derive(Debug, Default, PartialEq, Eq)]
struct Graph {
    operators: BTreeSet<String>,
    /// With its external data.
    bytes: u64,
}

impl Graph {
    fn has_any(&self, operators: &[&str]) -> bool {
        operators.iter().any(|&operator| self.operators.contains(operator))
    }

    /// The operators of the main graph, and the size of all files.
    fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        let mut graph = Self { operators: BTreeSet::new(), bytes: end };
        let folder = path.parent().unwrap_or(path);
        for location in graph_file::read(path)?.locations {
            graph.bytes += folder.join(location).metadata()?.len();
        }
        let mut wire = Wire::new(file);
        while let Some(field) = wire.next(end)? {
            match (field.number, field.payload) {
                (7, Payload::Bytes { end }) => graph.nodes(&mut wire, end)?,
                (_, Payload::Bytes { end }) => wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(graph)
    }

    fn nodes<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, end: u64) -> io::Result<()> {
        while let Some(field) = wire.next(end)? {
            match (field.number, field.payload) {
                (1, Payload::Bytes { end }) => self.node(wire, end)?,
                (_, Payload::Bytes { end }) => wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node<R: io::Read + io::Seek>(&mut self, wire: &mut Wire<R>, end: u64) -> io::Result<()> {
        while let Some(field) = wire.next(end)? {
            match (field.number, field.payload) {
                (4, Payload::Bytes { end }) => {
                    let name = wire.bytes(end, LONGEST_OPERATOR)?;
                    let name = String::from_utf8(name).map_err(|_| malformed("an operator's name"))?;
                    self.operators.insert(name);
                }
                (_, Payload::Bytes { end }) => wire.skip_to(end)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(operator: &str, bytes: u64) -> Graph {
        Graph { operators: BTreeSet::from([operator.to_owned()]), bytes }
    }

    fn told(cpu: Cpu, has_openvino: bool, graph: &Graph, precision: Precision) -> Vec<String> {
        let provider = if precision == Precision::Fp32 { "cpu" } else { "openvino" };
        let in_use = InUse { graph: Path::new("model.onnx"), provider, device: "cpu", precision };
        Choices { cpu, has_openvino }.of(graph, &in_use)
    }

    const ALL: Cpu = Cpu { bf16: true, int8: true };

    #[test]
    fn a_large_graph_of_matrix_products_gets_what_the_cpu_has() {
        let large = graph("MatMul", 90 << 20);
        let both = told(ALL, true, &large, Precision::Fp32);
        assert_eq!(both.len(), 2);
        assert!(both[0].contains("`tune` measures provider openvino with precision bf16"), "{both:?}");
        assert!(both[1].contains("tune --variant"), "{both:?}");
        let lacking = told(Cpu { int8: false, ..ALL }, false, &large, Precision::Fp32);
        assert!(lacking.len() == 1 && lacking[0].contains("the image `openvino`"), "{lacking:?}");
        assert!(told(Cpu { bf16: false, int8: false }, true, &large, Precision::Fp32).is_empty());
        assert_eq!(told(ALL, true, &large, Precision::Bf16).len(), 1, "bf16 is in use already");
    }

    #[test]
    fn trees_small_graphs_and_quantized_ones_get_none() {
        assert!(told(ALL, true, &graph("TreeEnsembleClassifier", 90 << 20), Precision::Fp32).is_empty());
        assert!(told(ALL, true, &graph("MatMul", 1 << 20), Precision::Fp32).is_empty());
        let mut quantized = graph("MatMul", 90 << 20);
        quantized.operators.insert("DequantizeLinear".to_owned());
        assert!(told(ALL, true, &quantized, Precision::Fp32).is_empty());
    }

    #[test]
    fn operators_are_read_from_the_file() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/models/fraud-detector/1/model.onnx");
        let graph = Graph::read(Path::new(file)).unwrap();
        assert!(graph.has_any(&["TreeEnsembleClassifier"]), "{:?}", graph.operators);
        assert!(graph.bytes > 1_000_000);
    }
}
