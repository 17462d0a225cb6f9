//! Pillow's resampling, to the last bit: the numbers that a model sees here are those that it was
//! trained and tested with (Pillow, `src/libImaging/Resample.c` and `Geometry.c`).
//!
//! A pass across, then a pass down, each rounded to eight bits; weights are fixed-point numbers of 22
//! bits. When shrinking, a filter's support grows with the factor. Nearest adds its steps up
//! and so rounds as Pillow does.

use std::f64::consts::PI;

use super::resize::Pixels;
use crate::model::ResizeFilter;

/// Bits behind the point of a weight.
const PRECISION: u32 = 32 - 8 - 2;

/// `pixels` resampled to a height and a width.
pub(super) fn resampled(pixels: &Pixels, filter: ResizeFilter, [height, width]: [usize; 2]) -> Pixels {
    let Some(kernel) = Kernel::of(filter) else { return nearest(pixels, [height, width]) };
    let across = (width != pixels.width).then(|| horizontal(pixels, &weights(pixels.width, width, kernel)));
    if height == pixels.height {
        return across.unwrap_or_else(|| pixels.clone());
    }
    vertical(across.as_ref().unwrap_or(pixels), &weights(pixels.height, height, kernel))
}

/// A filter as a function of the distance from the centre, and where it ends.
#[derive(Clone, Copy)]
struct Kernel {
    support: f64,
    weight: fn(f64) -> f64,
}

impl Kernel {
    /// None for the filter that has no weights.
    fn of(filter: ResizeFilter) -> Option<Self> {
        let (support, weight): (f64, fn(f64) -> f64) = match filter {
            ResizeFilter::None | ResizeFilter::Nearest => return None,
            ResizeFilter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
            ResizeFilter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
            ResizeFilter::Hamming => (1.0, hamming),
            ResizeFilter::Bicubic => (2.0, bicubic),
            ResizeFilter::Lanczos => {
                (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 })
            }
        };
        Some(Self { support, weight })
    }
}

fn hamming(x: f64) -> f64 {
    let x = x.abs();
    if x == 0.0 {
        1.0
    } else if x >= 1.0 {
        0.0
    } else {
        let x = x * PI;
        x.sin() / x * (0.54 + 0.46 * x.cos())
    }
}

/// Keys' cubic convolution with a = -0.5.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    #[expect(clippy::suboptimal_flops, reason = "Pillow's rounding, not that of a fused operation")]
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

/// The weights of one place in the result, and where in the source they begin.
struct Weights {
    first: usize,
    weights: Vec<i32>,
}

#[expect(clippy::cast_precision_loss, reason = "edges of pictures are far below 2^53")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded as in C, within the source"
)]
fn weights(from: usize, into: usize, kernel: Kernel) -> Vec<Weights> {
    let scale = from as f64 / into as f64;
    let filter_scale = scale.max(1.0);
    let support = kernel.support * filter_scale;
    let at = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let last = ((center + support + 0.5) as usize).min(from);
        let weight = |index: usize| (kernel.weight)((index as f64 - center + 0.5) * (1.0 / filter_scale));
        let raw: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = raw.iter().sum();
        let fixed = |weight: &f64| {
            let weight = if sum == 0.0 { *weight } else { weight / sum } * f64::from(1 << PRECISION);
            (weight + if weight < 0.0 { -0.5 } else { 0.5 }) as i32
        };
        Weights { first, weights: raw.iter().map(fixed).collect() }
    };
    (0..into).map(at).collect()
}

/// A sum of weighted values as a value, cut to eight bits.
fn rounded(sum: i32) -> u8 {
    u8::try_from((sum >> PRECISION).clamp(0, 255)).unwrap_or(u8::MAX)
}

/// Half of one: sums start with it, so that cutting bits off rounds.
const HALF: i32 = 1 << (PRECISION - 1);

fn horizontal(pixels: &Pixels, places: &[Weights]) -> Pixels {
    match pixels.channels {
        1 => across::<1>(pixels, places),
        _ => across::<3>(pixels, places),
    }
}

fn across<const CHANNELS: usize>(pixels: &Pixels, places: &[Weights]) -> Pixels {
    let mut values = Vec::with_capacity(pixels.height * places.len() * CHANNELS);
    for row in pixels.values.chunks_exact(pixels.width * CHANNELS) {
        let row = row.as_chunks::<CHANNELS>().0;
        for place in places {
            let mut sums = [HALF; CHANNELS];
            for (pixel, weight) in row[place.first..].iter().zip(&place.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(i32::from(*value) * weight);
                }
            }
            values.extend(sums.map(rounded));
        }
    }
    Pixels { values, width: places.len(), height: pixels.height, channels: pixels.channels }
}

fn vertical(pixels: &Pixels, places: &[Weights]) -> Pixels {
    let stride = pixels.width * pixels.channels;
    let mut values = Vec::with_capacity(places.len() * stride);
    let mut sums = vec![HALF; stride];
    for place in places {
        sums.fill(HALF);
        let rows = pixels.values[place.first * stride..].chunks_exact(stride);
        for (row, weight) in rows.zip(&place.weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(i32::from(*value) * weight);
            }
        }
        values.extend(sums.iter().map(|&sum| rounded(sum)));
    }
    Pixels { values, width: pixels.width, height: places.len(), channels: pixels.channels }
}

/// The source's place for each place of the result.
#[expect(clippy::cast_precision_loss, reason = "edges of pictures are far below 2^53")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the source")]
fn steps(from: usize, into: usize) -> Vec<usize> {
    let step = from as f64 / into as f64;
    let mut at = step * 0.5;
    let next = |_| {
        let place = (at as usize).min(from - 1);
        at += step;
        place
    };
    (0..into).map(next).collect()
}

fn nearest(pixels: &Pixels, [height, width]: [usize; 2]) -> Pixels {
    let (channels, columns) = (pixels.channels, steps(pixels.width, width));
    let mut values = Vec::with_capacity(height * width * channels);
    for row in steps(pixels.height, height) {
        for column in &columns {
            let start = (row * pixels.width + column) * channels;
            values.extend_from_slice(&pixels.values[start..start + channels]);
        }
    }
    Pixels { values, width, height, channels }
}
