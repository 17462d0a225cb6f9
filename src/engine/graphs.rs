//! CUDA graphs: the kernels of one shape, captured once and launched as one.
//!
//! A transformer's run at a small batch is hundreds of kernels of microseconds each, and launching them one by one
//! takes longer than they do. A captured graph reads and writes fixed addresses: each shape has inputs and outputs
//! of its own in device memory, into and out of which a run copies. Which graph is meant the runtime is told by
//! `gpu_graph_id`; -1 means none.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ort::memory::Allocator;
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, DynValue, ValueType};

use super::bound::{Capturing, Place};
use crate::tensor::Tensor;

/// The run option that names the graph.
pub(super) const GRAPH_ID: &str = "gpu_graph_id";
/// Its value for runs that are neither captured nor replayed.
pub(super) const NO_GRAPH: &str = "-1";
/// Most shapes of one session; others are run without. Each holds its inputs, outputs and workspace.
const MOST: usize = 256;

/// Held for reading by whatever else uses a device (copies, runs, the making of sessions), and for writing while a graph is captured: the runtime
/// captures in CUDA's global mode, in which the allocations and copies of other threads are errors
/// (`cudaStreamBeginCapture`).
static CAPTURING: RwLock<()> = RwLock::new(());

/// To be held while a run goes on that captures nothing.
pub(super) fn running() -> RwLockReadGuard<'static, ()> {
    CAPTURING.read().unwrap_or_else(PoisonError::into_inner)
}

/// The captured shapes of one session.
pub(super) struct Graphs {
    /// Captured at warm-up only: a capture stops every other run on any device.
    pub(super) capturing: Capturing,
    /// None where a shape could not be captured.
    by_shape: HashMap<Vec<Vec<usize>>, Option<Graph>>,
    device: Allocator,
}

/// What there is for some shapes.
pub(super) enum Known<'a> {
    /// A graph.
    Captured(&'a mut Graph),
    /// They came for the first time.
    New,
    /// They are run without.
    Without,
}

/// One shape's graph, with what it reads and writes.
pub(super) struct Graph {
    binding: IoBinding,
    inputs: Vec<DynTensor>,
    options: RunOptions,
}

fn shapes(inputs: &[Tensor]) -> Vec<Vec<usize>> {
    inputs.iter().map(|input| input.shape().to_vec()).collect()
}

impl Graphs {
    pub(super) fn new(session: &Session, place: Place) -> ort::Result<Self> {
        Ok(Self {
            device: Allocator::new(session, place.own()?)?,
            by_shape: HashMap::new(),
            capturing: Capturing::Off,
        })
    }

    /// What there is for inputs of these shapes.
    pub(super) fn of(&mut self, inputs: &[Tensor]) -> Known<'_> {
        let is_full = self.by_shape.len() >= MOST;
        match self.by_shape.get_mut(&shapes(inputs)) {
            Some(Some(graph)) => Known::Captured(graph),
            None if !is_full && self.capturing == Capturing::On => Known::New,
            Some(None) | None => Known::Without,
        }
    }

    /// Captures the graph of these inputs, which a run has just made into outputs like `ran`. That it can't be
    /// captured is no fault of the run: the shape is run without from then on.
    pub(super) fn capture(
        &mut self,
        session: &mut Session,
        names: (&[String], &[String]),
        (inputs, staged): (&[Tensor], &[DynTensor]),
        ran: &[DynValue],
    ) {
        let shapes = shapes(inputs);
        let _nobody_else_runs = CAPTURING.write().unwrap_or_else(PoisonError::into_inner);
        let graph = self.graph(session, names, staged, ran);
        if let Err(error) = &graph {
            tracing::warn!(%error, ?shapes, "a shape is run without a CUDA graph: it could not be captured");
        }
        self.by_shape.insert(shapes, graph.ok());
    }

    fn graph(
        &self,
        session: &mut Session,
        (input_names, output_names): (&[String], &[String]),
        staged: &[DynTensor],
        ran: &[DynValue],
    ) -> ort::Result<Graph> {
        let mut options = RunOptions::new()?;
        options.set(GRAPH_ID, (self.by_shape.len() + 1).to_string())?;
        options.set_log_level(ort::logging::LogLevel::Fatal)?;
        let mut binding = session.create_binding()?;
        let mut own_inputs = Vec::with_capacity(staged.len());
        for (name, value) in input_names.iter().zip(staged) {
            let mut own = DynTensor::new(&self.device, *value.data_type(), value.shape().clone())?;
            value.copy_into(&mut own)?;
            binding.bind_input(name, &own)?;
            own_inputs.push(own);
        }
        for (name, value) in output_names.iter().zip(ran) {
            let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
                return Err(ort::Error::new("an output is no tensor"));
            };
            let mut own = DynTensor::new(&self.device, *ty, shape.clone())?;
            // The binding keeps it.
            binding.bind_output(name, &mut own)?;
        }
        session.run_binding_with_options(&binding, &options)?;
        Ok(Graph { binding, inputs: own_inputs, options })
    }
}

impl Graph {
    /// One run of the graph, in the thread that captured it; its outputs in memory of `shared`.
    pub(super) fn replay(
        &mut self,
        session: &mut Session,
        staged: &[DynTensor],
        shared: &Allocator,
    ) -> ort::Result<Vec<DynValue>> {
        for (own, value) in self.inputs.iter_mut().zip(staged) {
            value.copy_into(own)?;
        }
        let outputs = session.run_binding_with_options(&self.binding, &self.options)?;
        let copied = |(_, value): (&str, DynValue)| {
            let own: DynTensor = value.downcast()?;
            let mut value = DynTensor::new(shared, *own.data_type(), own.shape().clone())?;
            own.copy_into(&mut value)?;
            Ok(value.into_dyn())
        };
        outputs.into_iter().map(copied).collect()
    }
}
