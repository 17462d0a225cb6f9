//! Pixels and tensors held against Pillow's and transformers' own (`tests/fixtures/images`).
//!
//! PNG must agree exactly, resized or not. Decoders of JPEG differ by up to three levels, and by more
//! at edges where colour of half the resolution is blown up in another way.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::super::resize::Resizing;
use super::super::source::Picture;
use crate::model::{ColorOrder, ResizeFilter};
use crate::task::tests::{build, tensor_spec};
use crate::task::{DecodeLimits, Task};
use crate::tensor::{Data, DataType};

#[derive(Deserialize)]
struct References {
    pixels: Vec<PixelCase>,
    tensors: Vec<TensorCase>,
}

#[derive(Deserialize)]
struct PixelCase {
    file: String,
    filter: ResizeFilter,
    size: [usize; 2],
    color: ColorOrder,
    pixels_b64: String,
    exif_transpose: Option<bool>,
    high_bytes: Option<bool>,
}

#[derive(Deserialize)]
struct TensorCase {
    file: String,
    image: toml::Table,
    shape: [usize; 4],
    tensor_b64: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

fn references() -> References {
    serde_json::from_slice(&std::fs::read(folder().join("references.json")).unwrap()).unwrap()
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap()
}

fn unpacked(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// Greatest and mean difference.
fn differences(ours: &[u8], theirs: &[u8]) -> (u8, f64) {
    assert_eq!(ours.len(), theirs.len());
    let each = ours.iter().zip(theirs).map(|(one, other)| one.abs_diff(*other));
    let sum: f64 = each.clone().map(f64::from).sum();
    (each.max().unwrap_or(0), sum / f64::from(u32::try_from(ours.len()).unwrap()))
}

fn is_jpeg(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "jpg")
}

/// The greatest and the mean difference in levels that are allowed.
fn allowed(case: &PixelCase) -> (u8, f64) {
    let is_halved =
        case.file.starts_with("halved") || case.file == "progressive.jpg" || case.file == "large.jpg";
    match (is_jpeg(&case.file), is_halved) {
        (false, _) => (0, 0.0),
        (true, false) => (3, 0.5),
        (true, true) => (16, 1.0),
    }
}

#[test]
fn pixels_are_those_of_pillow() {
    let mut tried = 0;
    let mut wrong = Vec::new();
    for case in references().pixels {
        // The other rows of these pairs say what Pillow does by itself, and why we do not.
        let is_clipped = case.file == "grey-16.png" && case.high_bytes != Some(true);
        if case.exif_transpose == Some(false) || is_clipped {
            continue;
        }
        tried += 1;
        let picture = Picture::probe(bytes(&case.file), u64::MAX).unwrap();
        let pixels = picture.pixels(case.color).unwrap();
        let mut ours = if case.filter == ResizeFilter::None {
            pixels
        } else {
            Resizing { filter: case.filter, to: None, size: case.size }.applied(pixels).unwrap()
        };
        assert_eq!([ours.height, ours.width], case.size, "{}", case.file);
        if case.color == ColorOrder::Bgr {
            ours.values.chunks_exact_mut(3).for_each(<[u8]>::reverse);
        }
        let (most, mean) = differences(&ours.values, &unpacked(&case.pixels_b64));
        let (most_allowed, mean_allowed) = allowed(&case);
        if most > most_allowed || mean > mean_allowed {
            let PixelCase { file, filter, size, color, .. } = &case;
            wrong.push(format!("{file} {filter:?} {size:?} {color:?}: most {most}, mean {mean:.3}"));
        }
    }
    assert!(tried > 100, "only {tried} cases");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

fn task(case: &TensorCase) -> Task {
    let [_, rest @ ..] = case.shape;
    let dims: Vec<Option<usize>> = std::iter::once(None).chain(rest.map(Some)).collect();
    let mut manifest = toml::Table::new();
    manifest.insert("task".into(), "image-classification".into());
    manifest.insert("image".into(), case.image.clone().into());
    let input = tensor_spec("pixel_values", DataType::Fp32, &dims);
    let output = tensor_spec("logits", DataType::Fp32, &[None, Some(2)]);
    build(&manifest.to_string(), &[input], &[output]).unwrap()
}

#[test]
fn tensors_are_those_of_the_image_processors_of_transformers() {
    let mut wrong = Vec::new();
    let cases = references().tensors;
    assert!(cases.len() > 15);
    for case in cases {
        let task = task(&case);
        let rows = task.decode_image(&bytes(&case.file), &DecodeLimits::default()).unwrap();
        let rows = task.encode(rows).unwrap();
        let Data::Fp32(ours) = rows.inputs[0].data() else { panic!() };
        let raw = unpacked(&case.tensor_b64);
        let theirs: Vec<f32> = raw.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!((ours.len(), rows.inputs[0].shape()), (theirs.len(), &case.shape[..]));
        // One level of 255 is this much of the tensor.
        let number = |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|_| 1.0));
        let scale = case.image.get("scale").and_then(number).unwrap_or(1.0 / 255.0);
        let std = case.image.get("std").and_then(toml::Value::as_array).and_then(|std| std.first());
        let level = scale / std.and_then(number).unwrap_or(1.0);
        let levels = if is_jpeg(&case.file) { 4.0 } else { 1e-3 };
        let most =
            ours.iter().zip(&theirs).map(|(one, other)| f64::from((one - other).abs())).fold(0.0, f64::max);
        if most > level * levels {
            wrong.push(format!("{} {}: most {:.2} levels", case.file, case.image, most / level));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
