//! Runs with inputs and outputs bound to an accelerator's memory.
//!
//! Inputs are written into page-locked memory, out of which the device copies at full speed and without a second
//! copy by the driver, and from there into device memory; outputs come into page-locked memory and stay there as
//! the tensors of the answer. Both come out of the session's arenas, which hold what warm-up needed: no run
//! allocates. Copying and computing are one after the other in a run, on the stream of its session: what hides
//! one behind the other is a second session with a batch of its own under way.

use std::sync::Arc;

use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions, Session};
use ort::value::{DynTensor, DynValue, PrimitiveTensorElementType, Tensor as OrtTensor, ValueType};

use super::graphs::{self, Graphs, Known};
use crate::tensor::{Data, Tensor};

/// Kinds of memory: that of the device, and that which it can copy from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A CUDA device, by its number.
    Cuda(i32),
    /// The host stands for both: the same calls, for tests on machines without a device.
    #[cfg(test)]
    Host,
}

impl Place {
    /// Memory that host and device reach.
    fn shared(self) -> ort::Result<MemoryInfo<'static>> {
        match self {
            Self::Cuda(id) => MemoryInfo::new(
                AllocationDevice::CUDA_PINNED,
                id,
                AllocatorType::Device,
                MemoryType::CPUInput,
            ),
            #[cfg(test)]
            Self::Host => Self::host(),
        }
    }

    /// Memory of the device.
    pub(super) fn own(self) -> ort::Result<MemoryInfo<'static>> {
        match self {
            Self::Cuda(id) => {
                MemoryInfo::new(AllocationDevice::CUDA, id, AllocatorType::Device, MemoryType::Default)
            }
            #[cfg(test)]
            Self::Host => Self::host(),
        }
    }

    #[cfg(test)]
    fn host() -> ort::Result<MemoryInfo<'static>> {
        MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
    }
}

/// What a session needs to run so.
pub(super) struct Bound {
    /// Dropped first: what it holds is of the allocators.
    graphs: Option<Graphs>,
    binding: IoBinding,
    shared: Allocator,
    shared_info: MemoryInfo<'static>,
    inputs: Arc<[String]>,
    outputs: Arc<[String]>,
}

/// Whether shapes that come again are captured as CUDA graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capture {
    /// Every run launches its kernels.
    Off,
    /// The first run of a shape is captured, the others are replayed.
    Shapes,
}

/// Whether shapes that come for the first time are captured now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capturing {
    /// They are.
    On,
    /// They are run without.
    Off,
}

impl Bound {
    /// None where an input or output is none that a device holds: strings, sequences of maps.
    pub(super) fn new(session: &Session, place: Place, capture: Capture) -> ort::Result<Option<Self>> {
        let is_numeric = |dtype: &ValueType| matches!(dtype, ValueType::Tensor { ty, .. } if *ty != ort::value::TensorElementType::String);
        let all = session.inputs().iter().chain(session.outputs());
        if !all.into_iter().all(|outlet| is_numeric(outlet.dtype())) {
            return Ok(None);
        }
        let (shared, shared_info) = shared(session, place)?;
        let names =
            |outlets: &[ort::value::Outlet]| outlets.iter().map(|one| one.name().to_owned()).collect();
        Ok(Some(Self {
            binding: session.create_binding()?,
            shared,
            shared_info,
            inputs: names(session.inputs()),
            outputs: names(session.outputs()),
            graphs: match capture {
                Capture::Off => None,
                Capture::Shapes => Some(Graphs::new(session, place)?),
            },
        }))
    }

    /// One run; the outputs in the session's order, in memory that the host reaches.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        inputs: &[Tensor],
        options: &RunOptions,
    ) -> ort::Result<Vec<DynValue>> {
        let others_may_run = graphs::running();
        let staged: Vec<DynTensor> =
            inputs.iter().map(|tensor| staged(&self.shared, tensor)).collect::<Result<_, _>>()?;
        let known = self.graphs.as_mut().map(|graphs| graphs.of(inputs));
        if let Some(Known::Captured(graph)) = known {
            return graph.replay(session, &staged, &self.shared);
        }
        let is_new = matches!(known, Some(Known::New));
        let outputs = self.plain(session, &staged, options)?;
        // Who captures waits for all that run.
        drop(others_may_run);
        if let Some(graphs) = self.graphs.as_mut().filter(|_| is_new) {
            let names = (&*self.inputs, &*self.outputs);
            graphs.capture(session, names, (inputs, &staged), &outputs);
        }
        Ok(outputs)
    }

    pub(super) fn capture_new_shapes(&mut self, capturing: Capturing) {
        if let Some(graphs) = &mut self.graphs {
            graphs.capturing = capturing;
        }
    }

    fn plain(
        &mut self,
        session: &mut Session,
        staged: &[DynTensor],
        options: &RunOptions,
    ) -> ort::Result<Vec<DynValue>> {
        for (name, value) in self.inputs.iter().zip(staged) {
            self.binding.bind_input(name, value)?;
        }
        // Each time anew: else the next run would write into the values of this one, which are somebody's answer.
        for name in self.outputs.iter() {
            self.binding.bind_output_to_device(name, &self.shared_info)?;
        }
        let outputs = session.run_binding_with_options(&self.binding, options)?;
        Ok(outputs.into_iter().map(|(_, value)| value).collect())
    }
}

/// Page-locked memory of the session's provider. It is every device's, and under the number of the first one in some
/// versions of the runtime.
fn shared(session: &Session, place: Place) -> ort::Result<(Allocator, MemoryInfo<'static>)> {
    let of = |place: Place| Ok((Allocator::new(session, place.shared()?)?, place.shared()?));
    match place {
        Place::Cuda(_) => of(place).or_else(|_: ort::Error| of(Place::Cuda(0))),
        #[cfg(test)]
        Place::Host => of(place),
    }
}

/// A tensor's elements in memory of `allocator`.
fn staged(allocator: &Allocator, tensor: &Tensor) -> ort::Result<DynTensor> {
    macro_rules! copied {
        ($buffer:expr) => {
            filled(allocator, tensor.shape(), $buffer)
        };
    }
    match tensor.data() {
        Data::Bool(buffer) => copied!(buffer),
        Data::Uint8(buffer) => copied!(buffer),
        Data::Uint16(buffer) => copied!(buffer),
        Data::Uint32(buffer) => copied!(buffer),
        Data::Uint64(buffer) => copied!(buffer),
        Data::Int8(buffer) => copied!(buffer),
        Data::Int16(buffer) => copied!(buffer),
        Data::Int32(buffer) => copied!(buffer),
        Data::Int64(buffer) => copied!(buffer),
        Data::Fp16(buffer) => copied!(buffer),
        Data::Bf16(buffer) => copied!(buffer),
        Data::Fp32(buffer) => copied!(buffer),
        Data::Fp64(buffer) => copied!(buffer),
        Data::Bytes(_) => Err(ort::Error::new_with_code(
            ort::ErrorCode::InvalidArgument,
            "a string for an input that takes none",
        )),
    }
}

fn filled<T>(allocator: &Allocator, shape: &[usize], elements: &[T]) -> ort::Result<DynTensor>
where
    T: PrimitiveTensorElementType + Copy + std::fmt::Debug + 'static,
{
    let mut value = OrtTensor::<T>::new(allocator, shape.to_vec())?;
    let (_, into) = value.try_extract_tensor_mut::<T>()?;
    into.copy_from_slice(elements);
    Ok(value.upcast())
}
