//! The runtime's error texts, without what they give away.
//!
//! They name absolute paths of models and libraries and lines of the runtime's own source. What
//! stays is what helps the model's owner.

/// Longest text passed on; the runtime can quote whole graphs.
const LONGEST: usize = 600;

/// Most words of a C++ signature that follow a source line.
const SIGNATURE_WORDS: usize = 60;

/// Most words before a signature's parameters: return type and name.
const NAME_WORDS: usize = 8;

/// `text` without source lines, C++ signatures, error numbers and the folders of absolute paths.
pub(super) fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut index = 0;
    while let Some(word) = words.get(index) {
        index += 1;
        if is_source_line(word) {
            index += signature_len(&words[index..]);
            index += bindings_len(&words[index..]);
        } else if is_cuda_place(&words[index - 1..]) {
            // The semicolon before it.
            kept.pop();
            index +=
                words[index..].iter().position(|word| word.ends_with(");")).map_or(words.len(), |at| at + 1);
        } else if let ("[ONNXRuntimeError]", [":", _number, ":", _name, ":", ..]) = (*word, &words[index..]) {
            index += 5;
        } else {
            kept.push(without_folders(word));
        }
    }
    let mut tidied = kept.join(" ");
    if let Some((at, _)) = tidied.char_indices().nth(LONGEST) {
        tidied.truncate(at);
        tidied.push('…');
    }
    tidied
}

/// True of `path/model.cc:149` and the like.
fn is_source_line(word: &str) -> bool {
    [".cc:", ".cpp:", ".h:", ".hpp:"].iter().any(|ending| {
        word.split_once(ending).is_some_and(|(_, line)| line.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// True of `GPU=0 ; hostname=...`, with which a text of CUDA's goes on: machine, source line, the call that failed.
fn is_cuda_place(words: &[&str]) -> bool {
    matches!(words, [gpu, ";", host, ..] if gpu.starts_with("GPU=") && host.starts_with("hostname="))
}

/// How many of `words` are what a template's parameters stand for: `[with T = cudaError; ...]`.
fn bindings_len(words: &[&str]) -> usize {
    if words.first() != Some(&"[with") {
        return 0;
    }
    words.iter().position(|word| word.ends_with(']')).map_or(words.len(), |at| at + 1)
}

/// How many of `words` are the C++ signature that the runtime puts behind a source line: all up to
/// its closing parenthesis, or a bare name.
fn signature_len(words: &[&str]) -> usize {
    let (mut depth, mut opened) = (0_i32, false);
    // What opens farther on is no parameter list.
    if !words.iter().take(NAME_WORDS).any(|word| word.contains('(')) {
        return usize::from(
            words.first().is_some_and(|word| word.chars().all(|c| c.is_alphanumeric() || c == '_')),
        );
    }
    for (index, word) in words.iter().take(SIGNATURE_WORDS).enumerate() {
        for c in word.chars() {
            match c {
                '(' => (depth, opened) = (depth + 1, true),
                ')' => depth -= 1,
                _ => {}
            }
        }
        if opened && depth <= 0 {
            let is_const = words.get(index + 1) == Some(&"const");
            return index + 1 + usize::from(is_const);
        }
    }
    0
}

/// The last component of a word that is an absolute path, quoted or not.
fn without_folders(word: &str) -> &str {
    let bare = word.trim_start_matches(['"', '\'', '(', '[', '`']);
    let is_path = bare.starts_with('/') && bare[1..].contains('/');
    if is_path { bare.rsplit('/').next().unwrap_or(bare) } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_source_lines_go_and_the_cause_stays() {
        let cases = [
            (
                "Load model from /a/b c/d/x.onnx failed:Protobuf parsing failed.",
                "Load model from b c/d/x.onnx failed:Protobuf parsing failed.",
            ),
            (
                "/onnxruntime_src/core/graph/model.cc:180 onnxruntime::Model::Model(onnx::ModelProto&&, \
                 const Options&) Unsupported model IR version: 99, max supported IR version: 11",
                "Unsupported model IR version: 99, max supported IR version: 11",
            ),
            (
                "/src/provider_bridge_ort.cc:2210 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() \
                 [ONNXRuntimeError] : 1 : FAIL : Failed to load library /opt/x/libonnxruntime_providers_cuda.so \
                 with error: libcublasLt.so.13: cannot open shared object file",
                "Failed to load library libonnxruntime_providers_cuda.so \
                 with error: libcublasLt.so.13: cannot open shared object file",
            ),
            (
                "/onnxruntime_src/core/providers/cuda/cuda_execution_provider_info.cc:63 static onnxruntime::Info \
                 onnxruntime::Info::FromProviderOptions(const onnxruntime::ProviderOptions&) \
                 [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse provider option \
                 \"device_id\": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; \
                 GPU=-1 ; hostname=vm ; file=/onnxruntime_src/x/cuda_execution_provider_info.cc ; line=70 ; \
                 expr=cudaGetDeviceCount(&num_devices); ",
                "Failed to parse provider option \"device_id\": CUDA failure 35: CUDA driver version is insufficient \
                 for CUDA runtime version",
            ),
            (
                "/onnxruntime_src/core/providers/cuda/cuda_call.cc:129 std::conditional_t<THRW, void, common::Status> \
                 onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) \
                 [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; common::Status = void] \
                 CUDA failure 36: API call is not supported in the installed CUDA driver ; GPU=0 ; hostname=vm ; \
                 file=/onnxruntime_src/y.cc ; line=301 ; expr=cudaSetDevice(info_.device_id); and more",
                "CUDA failure 36: API call is not supported in the installed CUDA driver and more",
            ),
            ("a / b", "a / b"),
        ];
        for (text, expected) in cases {
            assert_eq!(tidy(text), expected);
        }
        assert!(tidy(&"é ".repeat(5000)).len() < 2000);
    }
}
