//! `preprocessor_config.json`: how transformers' image processors make `pixel_values`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

use super::hugging_face::json;
use super::{Description, Place};
use crate::model::{ColorOrder, ImageInput, ResizeFilter, ResizeTo};

const FILE: &str = "preprocessor_config.json";

#[derive(Deserialize)]
struct Processor {
    do_resize: Option<bool>,
    do_center_crop: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    size: Option<Size>,
    crop_size: Option<Size>,
    crop_pct: Option<f64>,
    resample: Option<u8>,
    rescale_factor: Option<f64>,
    rescale_offset: Option<bool>,
    include_top: Option<bool>,
    do_flip_channel_order: Option<bool>,
    image_mean: Option<Channels>,
    image_std: Option<Channels>,
    image_processor_type: Option<String>,
    feature_extractor_type: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// One number, or two by name.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Size {
    Square(NonZeroUsize),
    Exact { height: NonZeroUsize, width: NonZeroUsize },
    Edge { shortest_edge: NonZeroUsize },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Channels {
    One(f64),
    Each(Vec<f64>),
}

impl Channels {
    fn into_list(self) -> Vec<f64> {
        match self {
            Self::One(value) => vec![value],
            Self::Each(values) => values,
        }
    }
}

/// Processors that do not do what their file alone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A size of one number is a square.
    Usual,
    /// A size of one number is the shorter edge.
    ShorterEdge,
    /// Below 384 the image is made a little larger, by `crop_pct`, and its middle is cut out.
    ConvNext,
    /// The same at every size.
    PoolFormer,
    /// The image is made larger by 256/224.
    Levit,
    /// `include_top` divides by the deviation once more.
    EfficientNet,
}

impl Kind {
    fn of(class: &str) -> Self {
        match class.split("ImageProcessor").next().and_then(|name| name.split("FeatureExtractor").next()) {
            Some("ConvNext") => Self::ConvNext,
            Some("PoolFormer") => Self::PoolFormer,
            Some("Levit") => Self::Levit,
            Some("EfficientNet") => Self::EfficientNet,
            Some("CLIP" | "ChineseCLIP" | "Bit" | "MobileNetV1" | "MobileNetV2" | "MobileViT") => {
                Self::ShorterEdge
            }
            _ => Self::Usual,
        }
    }
}

/// Steps that change nothing for a picture that is decoded to RGB.
const HARMLESS: [&str; 1] = ["do_convert_rgb"];

/// Adds what the file says.
pub(super) fn read(place: &Place<'_>, found: &mut Description) -> Result<(), String> {
    let Some(processor) = json::<Processor>(place, FILE)? else {
        found.note(format!("assumed: values are only scaled to 0..1: there is no {FILE}"));
        return Ok(());
    };
    let kind = processor.image_processor_type.as_deref().or(processor.feature_extractor_type.as_deref());
    found.note(format!("recognised: {} ({FILE})", kind.unwrap_or("an image processor")));
    let kind = kind.map_or(Kind::Usual, Kind::of);
    let unknown = |(name, value): (&String, &Value)| {
        let is_step = name.starts_with("do_") && *value == Value::Bool(true);
        (is_step && !HARMLESS.contains(&name.as_str())).then(|| name.clone())
    };
    let unknown: Vec<String> = processor.others.iter().filter_map(unknown).collect();
    if !unknown.is_empty() {
        return Err(format!(
            "{FILE}: {} is not supported: say in model.toml's [image] what the model takes, and remove the file",
            unknown.join(", ")
        ));
    }
    found.manifest.image = Some(processor.input(kind)?);
    Ok(())
}

impl Processor {
    fn input(self, kind: Kind) -> Result<ImageInput, String> {
        let rescaled = self.do_rescale.unwrap_or(true);
        let scale = if rescaled { self.rescale_factor.unwrap_or(1.0 / 255.0) } else { 1.0 };
        let offset = if self.rescale_offset == Some(true) && rescaled { 1.0 } else { 0.0 };
        let filter = self.filter()?;
        let (size, resize_to) = self.sizes(kind);
        let normalized = self.do_normalize.unwrap_or(true);
        let mean = self.image_mean.filter(|_| normalized).map(Channels::into_list);
        let mean = match (mean, offset) {
            (None, 0.0) => None,
            (mean, offset) => {
                Some(mean.unwrap_or_else(|| vec![0.0]).iter().map(|mean| mean + offset).collect())
            }
        };
        let std = self.image_std.filter(|_| normalized).map(Channels::into_list);
        let is_twice = kind == Kind::EfficientNet && self.include_top == Some(true);
        let std = std.map(|std| std.iter().map(|std| if is_twice { std * std } else { *std }).collect());
        let is_flipped = self.do_flip_channel_order == Some(true);
        Ok(ImageInput {
            size,
            resize: Some(filter),
            resize_to,
            color: is_flipped.then_some(ColorOrder::Bgr),
            scale: Some(scale),
            mean,
            std,
            ..ImageInput::default()
        })
    }

    fn filter(&self) -> Result<ResizeFilter, String> {
        if self.do_resize == Some(false) {
            return Ok(ResizeFilter::None);
        }
        // Pillow's numbers.
        Ok(match self.resample.unwrap_or(2) {
            0 => ResizeFilter::Nearest,
            1 => ResizeFilter::Lanczos,
            2 => ResizeFilter::Bilinear,
            3 => ResizeFilter::Bicubic,
            4 => ResizeFilter::Box,
            5 => ResizeFilter::Hamming,
            other => return Err(format!("{FILE}: resample: expected 0 to 5, got {other}")),
        })
    }

    /// The final size, and what comes before the middle is cut out.
    fn sizes(&self, kind: Kind) -> (Option<[NonZeroUsize; 2]>, Option<ResizeTo>) {
        let square = |edge: NonZeroUsize| [edge, edge];
        let exact = |size: Size| match size {
            Size::Square(edge) | Size::Edge { shortest_edge: edge } => square(edge),
            Size::Exact { height, width } => [height, width],
        };
        let crop = self.crop_size.or(self.size).map(exact).filter(|_| self.do_center_crop == Some(true));
        let edge = |edge: Option<NonZeroUsize>| edge.map(ResizeTo::ShorterEdge);
        match (kind, self.size) {
            (_, None) => (crop, None),
            (Kind::ConvNext, Some(Size::Edge { shortest_edge } | Size::Square(shortest_edge))) => {
                let larger = (shortest_edge.get() < 384)
                    .then(|| self.enlarged(shortest_edge, 224.0 / 256.0))
                    .flatten();
                (Some(square(shortest_edge)), edge(larger))
            }
            (Kind::PoolFormer, Some(Size::Edge { shortest_edge } | Size::Square(shortest_edge))) => {
                (crop.or(Some(square(shortest_edge))), edge(self.enlarged(shortest_edge, 0.9)))
            }
            (Kind::Levit, Some(Size::Edge { shortest_edge } | Size::Square(shortest_edge))) => {
                (crop.or(Some(square(shortest_edge))), edge(times(shortest_edge, 256.0 / 224.0)))
            }
            (_, Some(Size::Edge { shortest_edge }))
            | (Kind::ShorterEdge, Some(Size::Square(shortest_edge))) => {
                (crop, Some(ResizeTo::ShorterEdge(shortest_edge)))
            }
            (_, Some(size)) if crop.is_some() => (crop, Some(ResizeTo::Size(exact(size)))),
            (_, Some(size)) => (Some(exact(size)), None),
        }
    }

    /// `int(edge / crop_pct)`.
    fn enlarged(&self, edge: NonZeroUsize, usual: f64) -> Option<NonZeroUsize> {
        let share = self.crop_pct.unwrap_or(usual);
        // Not times the inverse, which may round to the integer below.
        #[expect(clippy::cast_precision_loss, reason = "edges of pictures are far below 2^53")]
        let larger = edge.get() as f64 / share;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most a hundred times an edge"
        )]
        (0.01..=1.0).contains(&share).then(|| NonZeroUsize::new(larger as usize)).flatten()
    }
}

/// `int(edge * factor)`.
fn times(edge: NonZeroUsize, factor: f64) -> Option<NonZeroUsize> {
    #[expect(clippy::cast_precision_loss, reason = "edges of pictures are far below 2^53")]
    let larger = edge.get() as f64 * factor;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a hundred times an edge"
    )]
    NonZeroUsize::new(larger as usize)
}
