//! The runtime's error texts, without what they give away.
//!
//! They name absolute paths of models and libraries and lines of the runtime's own source. What
//! stays is what helps the model's owner.

/// Longest text passed on; the runtime can quote whole graphs.
const LONGEST: usize = 600;

/// Most words of a C++ signature that follow a source line.
const SIGNATURE_WORDS: usize = 60;

/// `text` without source lines, C++ signatures, error numbers and the folders of absolute paths.
pub(super) fn tidy(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut kept: Vec<&str> = Vec::with_capacity(words.len());
    let mut index = 0;
    while let Some(word) = words.get(index) {
        index += 1;
        if is_source_line(word) {
            index += signature_len(&words[index..]);
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

/// How many of `words` are the C++ signature that the runtime puts behind a source line: all up to
/// its closing parenthesis.
fn signature_len(words: &[&str]) -> usize {
    let (mut depth, mut opened) = (0_i32, false);
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
            ("a / b", "a / b"),
        ];
        for (text, expected) in cases {
            assert_eq!(tidy(text), expected);
        }
        assert!(tidy(&"é ".repeat(5000)).len() < 2000);
    }
}
