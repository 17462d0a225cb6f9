//! `[image]` of a manifest: how an image becomes the tensor that a graph takes.
//!
//! The steps are those of the common image processors, in their order: resize, cut out the middle,
//! scale, subtract the mean, divide by the deviation, lay out.

use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How pixels become a tensor.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageInput {
    /// Height and width that the model takes; unset = the graph's.
    pub size: Option<[NonZeroUsize; 2]>,
    /// The filter that brings an image to its size; unset = `bilinear`.
    pub resize: Option<ResizeFilter>,
    /// What an image is resized to before `size` is cut out of its middle; unset = `size` itself.
    pub resize_to: Option<ResizeTo>,
    /// The channels and their order; unset = `rgb`, or `grey` where the graph takes one channel.
    pub color: Option<ColorOrder>,
    /// Multiplies the values 0 to 255; unset = 1/255, or none where the graph takes integers.
    pub scale: Option<f64>,
    /// Subtracted per channel after scaling; one number for all channels, or one each.
    pub mean: Option<Vec<f64>>,
    /// Divisor per channel, after the mean.
    pub std: Option<Vec<f64>>,
    /// Where the channels stand; unset = by the graph's dimensions.
    pub layout: Option<ImageLayout>,
}

/// A filter for resizing, as Pillow defines it: when shrinking, its support grows with the factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResizeFilter {
    /// No resizing: an image must have the size already.
    None,
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels that fall together.
    Box,
    /// Linear interpolation.
    #[default]
    Bilinear,
    /// Hamming's window.
    Hamming,
    /// Cubic interpolation, a = -0.5.
    Bicubic,
    /// Lanczos' window of three lobes.
    Lanczos,
}

/// A size to resize to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ResizeTo {
    /// The shorter edge becomes this, the longer one follows.
    ShorterEdge(NonZeroUsize),
    /// Height and width become these.
    Size([NonZeroUsize; 2]),
}

/// Channels and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of luminance (ITU-R 601-2).
    #[serde(alias = "gray")]
    Grey,
}

impl ColorOrder {
    /// How many channels there are.
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// Where the channels stand in the tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageLayout {
    /// `[batch, channels, height, width]`.
    Nchw,
    /// `[batch, height, width, channels]`.
    Nhwc,
}
