//! Bodies with pictures, from bytes to the graph's tensor.

mod references;

use std::io::Cursor;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage, RgbaImage};
use serde_json::{Value as Json, json};

use crate::task::report::DecodeReport;
use crate::task::tests::{build, tensor_spec};
use crate::task::{DecodeLimits, InputError, InputErrorCode, Rows, Task, TaskError};
use crate::tensor::{Data, DataType, Tensor};

fn model(manifest: &str, data_type: DataType, dims: [usize; 3]) -> Result<Task, TaskError> {
    let [first, second, third] = dims.map(|size| (size > 0).then_some(size));
    let input = tensor_spec("pixels", data_type, &[None, first, second, third]);
    let output = tensor_spec("logits", DataType::Fp32, &[None, Some(2)]);
    build(&format!("task = \"image-classification\"\n{manifest}"), &[input], &[output])
}

fn rgb(manifest: &str) -> Task {
    model(manifest, DataType::Fp32, [3, 2, 2]).unwrap()
}

/// 2 x 2 pixels: red, green; blue, white.
fn corners() -> RgbImage {
    let colors = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]];
    RgbImage::from_fn(2, 2, |x, y| Rgb(colors[(y * 2 + x) as usize]))
}

fn written(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.into().write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
    written(image, ImageFormat::Png)
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn encode(task: &Task, body: &Json, limits: &DecodeLimits) -> Result<Rows, InputError> {
    let mut report = DecodeReport::new();
    let text = body.to_string();
    match task.decode(&mut serde_json::Deserializer::from_str(&text), limits, &mut report) {
        Ok(decoded) => task.encode(decoded),
        Err(_) => Err(report.failure().unwrap()),
    }
}

fn raw(task: &Task, bytes: &[u8]) -> Result<Rows, InputError> {
    task.encode(task.decode_image(bytes, &DecodeLimits::default())?)
}

fn singles(tensor: &Tensor) -> Vec<f32> {
    match tensor.data() {
        Data::Fp32(values) => values.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn base64_data_urls_and_raw_bodies_give_the_same_row() {
    let task = rgb("");
    let bytes = png(corners());
    let expected = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
    let alone = raw(&task, &bytes).unwrap();
    assert_eq!((singles(&alone.inputs[0]), alone.inputs[0].shape()), (expected.to_vec(), &[1, 3, 2, 2][..]));
    assert_eq!((alone.input_length, alone.rows, alone.reply.is_list()), (bytes.len() as u64, 1, false));
    let encoded = base64(&bytes);
    let (first, rest) = encoded.split_at(20);
    for text in [
        encoded.clone(),
        encoded.trim_end_matches('=').to_owned(),
        format!("{first}\r\n{rest}\n"),
        format!("data:image/png;base64,{encoded}"),
    ] {
        let rows = encode(&task, &json!({ "b64": text }), &DecodeLimits::default()).unwrap();
        assert_eq!((singles(&rows.inputs[0]), rows.reply.is_list()), (expected.to_vec(), false));
    }
    let list = json!({"instances": [{"b64": encoded}, {"b64": encoded}], "parameters": {"top_k": 1}});
    let rows = encode(&task, &list, &DecodeLimits::default()).unwrap();
    assert_eq!((rows.inputs[0].shape(), rows.reply.top_k), (&[2, 3, 2, 2][..], Some(1)));
}

#[test]
fn pixels_lie_as_layout_color_and_type_say() {
    let bytes = png(corners());
    let nhwc = raw(&model("", DataType::Fp32, [2, 2, 3]).unwrap(), &bytes).unwrap();
    assert_eq!(singles(&nhwc.inputs[0])[..6], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let bgr = raw(&rgb("[image]\ncolor = \"bgr\""), &bytes).unwrap();
    assert_eq!(singles(&bgr.inputs[0])[..4], [0.0, 0.0, 1.0, 1.0]);
    let scaled = rgb("[image]\nscale = 1.0\nmean = [255.0, 0.0, 0.0]\nstd = [2.0, 1.0, 255.0]");
    let scaled = raw(&scaled, &bytes).unwrap();
    assert_eq!(singles(&scaled.inputs[0])[..6], [0.0, -127.5, -127.5, 0.0, 0.0, 255.0]);
    let bytes_model = model("", DataType::Uint8, [3, 2, 2]).unwrap();
    assert_eq!(
        raw(&bytes_model, &bytes).unwrap().inputs[0].data(),
        &Data::from(vec![255_u8, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255])
    );
    let grey = raw(&model("", DataType::Fp32, [1, 2, 2]).unwrap(), &bytes).unwrap();
    // Pillow: Image.convert("L") gives 76, 150, 29 and 255.
    let pillow = [76.0_f32, 150.0, 29.0, 255.0].map(|value| value / 255.0);
    assert!(singles(&grey.inputs[0]).iter().zip(pillow).all(|(one, other)| (one - other).abs() < 1e-7));
    for half in [DataType::Fp16, DataType::Bf16, DataType::Fp64] {
        let rows = raw(&model("", half, [3, 2, 2]).unwrap(), &bytes).unwrap();
        assert_eq!((rows.inputs[0].data().float_at(0), rows.inputs[0].data_type()), (Some(1.0), half));
    }
}

#[test]
fn every_kind_of_png_becomes_eight_bits_without_transparency() {
    let task = rgb("");
    let plain = raw(&task, &png(corners())).unwrap().inputs;
    let rgba = RgbaImage::from_fn(2, 2, |x, y| {
        let [red, green, blue] = corners().get_pixel(x, y).0;
        image::Rgba([red, green, blue, 7])
    });
    assert_eq!(raw(&task, &png(rgba)).unwrap().inputs, plain);
    let deep = DynamicImage::ImageRgb8(corners()).to_rgb16();
    assert_eq!(raw(&task, &png(deep)).unwrap().inputs, plain);
    let grey = raw(&task, &png(GrayImage::from_pixel(2, 2, image::Luma([51])))).unwrap();
    assert!(singles(&grey.inputs[0]).iter().all(|value| (value - 0.2).abs() < 1e-7));
    assert!(raw(&task, &written(corners(), ImageFormat::Jpeg)).is_ok());
}

#[test]
fn other_sizes_are_resized_cut_or_refused() {
    let wide = RgbImage::from_fn(8, 4, |x, _| Rgb([if x < 4 { 0 } else { 255 }; 3]));
    let wide = png(wide);
    let squeezed = singles(&raw(&rgb(""), &wide).unwrap().inputs[0]);
    assert!((squeezed[0] + squeezed[1] - 1.0).abs() < 1e-6, "the halves mirror each other");
    assert!(squeezed[0] < squeezed[1]);
    // The shorter edge is the height: 4 x 2 pixels, whose middle is cut out.
    let cut = singles(&raw(&rgb("[image]\nresize = \"box\"\nresize_to = 2"), &wide).unwrap().inputs[0]);
    assert_eq!(cut[..4], [0.0, 1.0, 0.0, 1.0]);
    let refusing = rgb("[image]\nresize = \"none\"");
    let error = raw(&refusing, &wide).unwrap_err();
    assert_eq!(
        (error.code, error.detail.as_str()),
        (InputErrorCode::ShapeMismatch, "expected an image of 2 x 2, got 8 x 4")
    );
    assert!(raw(&refusing, &png(corners())).is_ok());
    let strip = png(GrayImage::new(100_000, 1));
    let error = raw(&rgb("[image]\nresize_to = 1000"), &strip).unwrap_err();
    assert_eq!(error.code, InputErrorCode::TooLarge);
}

#[test]
fn what_is_no_picture_is_refused_with_its_place() {
    let task = rgb("");
    let good = png(corners());
    let limits = DecodeLimits { max_pixels: 4, max_instances: 2, ..DecodeLimits::default() };
    let large = base64(&png(RgbImage::new(5, 1)));
    let (cut, gif) = (base64(&good[..good.len() - 20]), base64(b"GIF89a\x01\0\x01\0\0\0\0;"));
    let jpeg = written(corners(), ImageFormat::Jpeg);
    let (headless, cut_jpeg) = (base64(&jpeg[..jpeg.len() / 2]), base64(&jpeg[..jpeg.len() - 3]));
    let good = base64(&good);
    let cases = [
        (json!({}), "invalid_input", None, "an empty object"),
        (json!({"b64": 3}), "invalid_input", Some("/b64"), "a number"),
        (json!({"b64": null}), "invalid_input", Some("/b64"), "null"),
        (json!({"b64": ""}), "invalid_input", Some("/b64"), "got nothing"),
        (json!({"b64": "%%%"}), "invalid_input", Some("/b64"), "3 other characters"),
        (json!({"b64": "data:image/png,x"}), "invalid_input", Some("/b64"), ";base64,"),
        (json!({"b64": "aGVsbG8="}), "invalid_input", Some("/b64"), "5 bytes of something else"),
        (json!({"b64": gif}), "invalid_input", Some("/b64"), "got GIF"),
        (json!({"b64": headless}), "invalid_input", Some("/b64"), "header"),
        (json!({"b64": cut_jpeg}), "invalid_input", Some("/b64"), "the JPEG image is cut off"),
        (json!({"b64": cut}), "invalid_input", None, "broken or cut off"),
        (json!({"b64": large}), "payload_too_large", Some("/b64"), "at most 4 pixels, got 5 x 1"),
        (json!({"image": good}), "unknown_input", Some("/image"), "b64"),
        (json!([good]), "invalid_input", None, "\"b64\""),
        (json!({"instances": [good]}), "invalid_input", Some("/instances/0"), "\"b64\""),
        (
            json!({"instances": [{"b64": good}, {"b64": cut}]}),
            "invalid_input",
            Some("/instances/1/b64"),
            "broken",
        ),
        (json!({"instances": [{}, {}, {}]}), "missing_input", Some("/instances/0/b64"), "none"),
        (
            json!({"b64": good, "parameters": {"truncate": true}}),
            "unknown_input",
            Some("/parameters/truncate"),
            "top_k",
        ),
    ];
    for (body, code, pointer, words) in cases {
        let error = encode(&task, &body, &limits).map(|rows| rows.rows).unwrap_err();
        assert_eq!((error.code.name(), error.pointer.as_deref()), (code, pointer), "{body}: {error}");
        assert!(error.detail.contains(words), "{body}: {error}");
    }
    let tight = DecodeLimits { max_bytes: 47, ..DecodeLimits::default() };
    assert_eq!(task.decode_image(&png(corners()), &tight).unwrap_err().code, InputErrorCode::TooLarge);
    let list = json!({"instances": [{"b64": good}]});
    assert_eq!(encode(&task, &list, &tight).unwrap_err().code, InputErrorCode::TooLarge);
}

#[test]
fn a_header_that_claims_much_is_refused_before_a_pixel_is_unpacked() {
    let mut bomb = png(GrayImage::new(1, 1));
    // Width and height stand at byte 16 of a PNG, behind them their checksum at byte 29.
    bomb[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let checksum = crc32(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&checksum);
    let error = raw(&rgb(""), &bomb).unwrap_err();
    assert_eq!(error.code, InputErrorCode::TooLarge);
    assert!(error.detail.contains("65536 x 65536"), "{error}");
}

/// One pixel of the first colour, with a palette of so many bytes and one transparent entry.
fn with_palette(bytes: usize) -> Vec<u8> {
    let chunk = |kind: &[u8], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let named = [kind, data].concat();
        [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
    };
    // An uncompressed block of two zeros: the row's filter and its pixel.
    let pixel = [0x78, 1, 1, 2, 0, 0xfd, 0xff, 0, 0, 0, 2, 0, 1];
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0]),
        chunk(b"PLTE", &vec![7; bytes]),
        chunk(b"tRNS", &[0]),
        chunk(b"IDAT", &pixel),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn a_palette_that_png_does_not_allow_is_refused_before_the_decoder_panics() {
    let task = model("[image]\nresize_to = 2", DataType::Fp32, [3, 2, 2]).unwrap();
    for length in [3, 6, 768] {
        assert_eq!(raw(&task, &with_palette(length)).unwrap().rows, 1, "{length}");
    }
    for length in [1, 2, 4, 49, 767, 769, 771] {
        let error = raw(&task, &with_palette(length)).unwrap_err();
        assert_eq!(error.code, InputErrorCode::InvalidInput);
        assert!(error.detail.ends_with(&format!("3 bytes, got {length} bytes")), "{error}");
    }
    // No palette at all, and chunks that end early, are for the decoder to judge.
    let whole = with_palette(0);
    for length in [8, 20, 33, 40, 45, 60, whole.len()] {
        assert!(raw(&task, &whole[..length]).is_err(), "{length}");
    }
}

/// The checksum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[test]
fn a_graph_that_takes_no_pictures_is_told() {
    let told = |manifest: &str, data_type, dims| model(manifest, data_type, dims).unwrap_err().to_string();
    assert!(told("", DataType::Fp32, [4, 2, 2]).contains("[N,channels,height,width]"));
    assert!(told("", DataType::Int64, [3, 2, 2]).contains("takes floats or UINT8"));
    assert!(
        told("", DataType::Fp32, [3, 0, 0]).contains("image.size: the graph takes any: say [height, width]")
    );
    assert!(told("[image]\nsize = [4, 4]", DataType::Fp32, [3, 2, 2]).contains("the graph takes 2 x 2"));
    assert!(told("[image]\ncolor = \"grey\"", DataType::Fp32, [3, 2, 2]).contains("the graph takes 3"));
    assert!(told("[image]\nmean = [1.0, 2.0]", DataType::Fp32, [3, 2, 2]).contains("one a channel, got 2"));
    assert!(told("[image]\nstd = [0.0]", DataType::Fp32, [3, 2, 2]).contains("other than zero"));
    let free = model("[image]\nsize = [4, 6]", DataType::Fp32, [3, 0, 0]).unwrap();
    assert_eq!(raw(&free, &png(corners())).unwrap().inputs[0].shape(), [1, 3, 4, 6]);
}

#[test]
fn the_example_works_and_warm_up_has_different_rows() {
    let task = rgb("");
    let example = serde_json::to_value(task.example()).unwrap();
    assert!(encode(&task, &example, &DecodeLimits::default()).is_ok());
    let rows = task.example_rows().unwrap();
    assert_eq!(rows.iter().map(|rows| rows.rows).collect::<Vec<_>>(), [1, 2]);
    let both = singles(&rows[1].inputs[0]);
    assert_ne!(both[..12], both[12..]);
    let described = serde_json::to_value(task.describe()).unwrap();
    assert_eq!(described["inputs"]["image"]["width"], 2);
    assert_eq!(described["parameters"], json!(["top_k"]));
}
