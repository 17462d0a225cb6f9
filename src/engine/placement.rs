//! On which provider each node of a graph runs.
//!
//! What a provider does not know the runtime leaves to the CPU without a word, and every crossing is a copy: a
//! model "on CUDA" may run half on the CPU. So the runtime is asked (`Session_GetEpGraphAssignmentInfo`, since
//! 1.24), and what it says stands in `check`, the model's metadata and a metric.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::sys::{OrtEpAssignedNode, OrtEpAssignedSubgraph, OrtMemoryInfoDeviceType, OrtStatusPtr};

/// The session option by which the runtime keeps what it decides.
pub(super) const RECORDED: &str = "session.record_ep_graph_assignment_info";

/// Nodes by provider, under the names of manifests: `cpu`, `cuda`. Empty where the runtime does not say.
pub type Placement = BTreeMap<String, usize>;

/// Where the nodes of `session` run, which was made with [`RECORDED`] set.
pub(super) fn of(session: &Session) -> Placement {
    let mut placement = Placement::new();
    for &subgraph in subgraphs(session) {
        if let Some((provider, nodes)) = assigned(subgraph) {
            *placement.entry(provider).or_default() += nodes;
        }
    }
    placement
}

/// Whether a kernel reads an input of the graph on the host, or the runtime does not say.
pub(super) fn reads_inputs_on_host(session: &Session) -> bool {
    let mut places = vec![ptr::null(); session.inputs().len()];
    #[expect(unsafe_code, reason = "the crate keeps what it knows of it to itself")]
    // SAFETY: the session is alive and fills as many places as it has inputs with what it owns.
    unsafe {
        let status =
            (ort::api().SessionGetMemoryInfoForInputs)(session.ptr(), places.as_mut_ptr(), places.len());
        if !is_ok(status) {
            return true;
        }
    }
    places.into_iter().any(|place| {
        let mut device = OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU;
        if place.is_null() {
            return true;
        }
        #[expect(unsafe_code, reason = "the crate keeps what it knows of it to itself")]
        // SAFETY: the session, which owns it, is alive; the other place is ours.
        unsafe {
            (ort::api().MemoryInfoGetDeviceType)(place, &raw mut device);
        }
        device == OrtMemoryInfoDeviceType::OrtMemoryInfoDeviceType_CPU
    })
}

/// True when a call went well; the status of one that did not is released.
fn is_ok(status: OrtStatusPtr) -> bool {
    if status.0.is_null() {
        return true;
    }
    #[expect(unsafe_code, reason = "the status is the runtime's own and used by nobody else")]
    // SAFETY: a status that is not null was made by the runtime for this caller, who releases it once.
    unsafe {
        (ort::api().ReleaseStatus)(status.0);
    }
    false
}

/// The parts that the graph was cut into; they live as long as the session.
fn subgraphs(session: &Session) -> &[*const OrtEpAssignedSubgraph] {
    let (mut parts, mut count) = (ptr::null(), 0_usize);
    #[expect(unsafe_code, reason = "the crate has no safe call for it")]
    // SAFETY: the session is alive, and both places are ours; the runtime fills them with an array that the
    // session owns, of `count` parts.
    unsafe {
        let status =
            (ort::api().Session_GetEpGraphAssignmentInfo)(session.ptr(), &raw mut parts, &raw mut count);
        if !is_ok(status) || parts.is_null() {
            return &[];
        }
        std::slice::from_raw_parts(parts, count)
    }
}

/// A part's provider and how many nodes it has.
fn assigned(subgraph: *const OrtEpAssignedSubgraph) -> Option<(String, usize)> {
    let (mut name, mut nodes, mut count) = (ptr::null(), ptr::null(), 0_usize);
    let nodes_at: *mut *const *const OrtEpAssignedNode = &raw mut nodes;
    #[expect(unsafe_code, reason = "the crate has no safe call for it")]
    // SAFETY: the part belongs to a session that is alive; the name that comes is a C string that it owns.
    let name = unsafe {
        let named = (ort::api().EpAssignedSubgraph_GetEpName)(subgraph, &raw mut name);
        let counted = (ort::api().EpAssignedSubgraph_GetNodes)(subgraph, nodes_at, &raw mut count);
        let (named, counted) = (is_ok(named), is_ok(counted));
        if !named || !counted || name.is_null() {
            return None;
        }
        CStr::from_ptr(name).to_string_lossy()
    };
    Some((name.trim_end_matches("ExecutionProvider").to_lowercase(), count))
}
