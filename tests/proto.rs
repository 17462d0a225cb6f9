//! The messages of gRPC are what the committed definitions say: `proto/generated/` holds what the
//! pinned compilers make of `proto/`, so that a build needs neither. `BLESS=1` renews it.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot go on fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost_types::FileDescriptorSet;
use protox::prost::Message as _;

/// The definitions, as they import each other.
const FILES: [&str; 6] = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
    "grpc_service.proto",
];
/// Its messages are those of v1 in another package.
const WITHOUT_CODE: &str = "grpc.reflection.v1alpha";
/// Fields whose bytes are used where they lie.
const IN_PLACE: [&str; 3] = [
    ".inference.InferTensorContents.bytes_contents",
    ".inference.ModelInferRequest.raw_input_contents",
    ".inference.ModelInferResponse.raw_output_contents",
];

fn generated() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let mut set: FileDescriptorSet = protox::compile(FILES, [root]).unwrap();
    // Comments, which reflection does not need.
    set.file.iter_mut().for_each(|file| file.source_code_info = None);
    let descriptors = set.encode_to_vec();
    set.file.retain(|file| file.package() != WITHOUT_CODE);
    let folder = tempfile::tempdir().unwrap();
    let mut config = prost_build::Config::new();
    config.out_dir(folder.path()).disable_comments(["."]).bytes(IN_PLACE);
    config.compile_fds(set).unwrap();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    let mut files: BTreeMap<_, _> =
        fs::read_dir(folder.path()).unwrap().map(|entry| read(entry.unwrap())).collect();
    files.insert("descriptors.binpb".to_owned(), descriptors);
    files
}

#[test]
fn the_generated_code_is_that_of_the_definitions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/generated");
    if option_env!("BLESS").is_some() {
        for (name, content) in generated() {
            fs::write(folder.join(name), content).unwrap();
        }
    }
    let generated = generated();
    let committed: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(committed.len(), generated.len(), "{committed:?} and {:?}", generated.keys());
    for (name, content) in generated {
        let ours = fs::read(folder.join(&name)).unwrap_or_default();
        assert!(ours == content, "proto/generated/{name}: run BLESS=1 cargo test --release --test proto");
    }
}
