//! What must hold whatever came in. Invariant: a check costs about as much as what it checks, so that
//! the fuzzer's time goes into the decoders.

use ml_inference_api::tensor::{Data, DataType, Tensor};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Stands in values of the seeds, never in names: where it shows up in an answer, a value leaked.
pub const MARK: &str = "SECRET";

/// Bytes that decoding may take whatever the input is: buffers of fixed size, error texts.
const FLOOR: usize = 64 << 10;
/// Bytes of memory for each byte of the input. The dearest is `"",`: 3 bytes for a string's 24, which
/// a growing buffer may hold up to three times over while it moves.
const FACTOR: usize = 32;

/// Runs `decode` and demands that it takes no more memory than an input of `length` bytes may.
pub fn in_bounded_memory<T>(length: usize, decode: impl FnOnce() -> T) -> T {
    let before = ALLOCATED.current_usage();
    ALLOCATED.reset_peak_usage();
    let result = decode();
    let taken = ALLOCATED.peak_usage().saturating_sub(before);
    assert!(taken <= FLOOR + FACTOR * length, "{taken} bytes of memory for {length} bytes of input");
    result
}

/// Demands of a refusal that it is short, points somewhere and repeats no value. `tells_names` is for
/// bodies whose names hold the mark: an answer may repeat a name.
pub fn refusal(detail: &str, pointer: Option<&str>, tells_names: bool) {
    assert!(!detail.is_empty(), "a refusal without a detail");
    assert!(detail.chars().count() <= 256, "a detail of {} characters", detail.chars().count());
    assert!(pointer.is_none_or(|pointer| pointer.starts_with('/')), "the pointer {pointer:?}");
    if !tells_names {
        assert!(!detail.contains(MARK), "a value leaks: {detail}");
        assert!(!pointer.unwrap_or_default().contains(MARK), "a value leaks: {pointer:?}");
    }
}

/// Demands that a tensor is what it says, and the same after a way over the wire as raw bytes.
pub fn tensor(tensor: &Tensor) {
    let elements: usize = tensor.shape().iter().product();
    assert_eq!(tensor.data().len(), elements, "elements of the shape {:?}", tensor.shape());
    let raw = tensor.data().to_raw();
    assert_eq!(raw.len(), tensor.data().raw_len());
    let back = Tensor::from_raw(tensor.data_type(), tensor.shape().to_vec(), raw.clone());
    assert_eq!(back.expect("what went out comes in").data().to_raw(), raw);
}

/// Bytes of the tensors that hold numbers.
pub fn bytes_of_numbers<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> u64 {
    let numbers = tensors.filter(|tensor| tensor.data_type() != DataType::Bytes);
    numbers.map(|tensor| tensor.data().raw_len() as u64).sum()
}

/// True when no text holds a NUL, where the runtime's texts end.
pub fn is_free_of_nul(tensor: &Tensor) -> bool {
    !matches!(tensor.data(), Data::Bytes(texts) if texts.iter().any(|text| text.contains('\0')))
}
