//! Pixels brought to a size: resampled, then transformers' cut out of the middle.

use std::num::NonZeroUsize;

use super::resample::resampled;
use crate::model::{ResizeFilter, ResizeTo};
use crate::task::InputError;
use crate::task::problem::InputErrorCode::{ShapeMismatch, TooLarge};

/// No intermediate picture is larger: a strip of one pixel's height would be resized to one of its
/// length times the edge.
const MOST_PIXELS: usize = 1 << 26;

/// Pixels of eight bits a channel, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) values: Vec<u8>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) channels: usize,
}

/// How pixels are brought to a size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resizing {
    pub(super) filter: ResizeFilter,
    pub(super) to: Option<ResizeTo>,
    /// Height and width in the end.
    pub(super) size: [usize; 2],
}

impl Resizing {
    /// `pixels` at the size.
    ///
    /// # Errors
    /// When a picture that is not to be resized has another size, or can't be resized.
    pub(super) fn applied(&self, pixels: Pixels) -> Result<Pixels, InputError> {
        let came = [pixels.height, pixels.width];
        if self.filter == ResizeFilter::None {
            if came == self.size {
                return Ok(pixels);
            }
            let detail = format!("expected an image of {}, got {}", shown(self.size), shown(came));
            return Err(InputError::new(ShapeMismatch, String::new(), detail));
        }
        let wanted = match self.to {
            None => self.size,
            Some(ResizeTo::Size(size)) => size.map(NonZeroUsize::get),
            Some(ResizeTo::ShorterEdge(edge)) => shorter_edge(came, edge.get()),
        };
        let resized = if wanted == came { pixels } else { resized(&pixels, self.filter, wanted)? };
        Ok(if wanted == self.size { resized } else { middle(&resized, self.size) })
    }
}

fn shown([height, width]: [usize; 2]) -> String {
    format!("{width} x {height}")
}

/// The longer edge follows, rounded down.
fn shorter_edge([height, width]: [usize; 2], edge: usize) -> [usize; 2] {
    let follow = |long: usize, short: usize| (edge * long / short).max(1);
    if height <= width { [edge, follow(width, height)] } else { [follow(height, width), edge] }
}

fn resized(pixels: &Pixels, filter: ResizeFilter, [height, width]: [usize; 2]) -> Result<Pixels, InputError> {
    let most = height.max(pixels.height).saturating_mul(width);
    if most > MOST_PIXELS {
        let detail =
            "expected an image with edges of like length, got one far longer than wide or wider than long";
        return Err(InputError::new(TooLarge, String::new(), detail));
    }
    Ok(resampled(pixels, filter, [height, width]))
}

/// The middle of `pixels`, with black around it where they are too small.
fn middle(pixels: &Pixels, [height, width]: [usize; 2]) -> Pixels {
    let channels = pixels.channels;
    let mut values = vec![0; height * width * channels];
    let (top, new_top) = offsets(pixels.height, height);
    let (left, new_left) = offsets(pixels.width, width);
    let across = pixels.width.min(width);
    for row in 0..pixels.height.min(height) {
        let from = ((top + row) * pixels.width + left) * channels;
        let into = ((new_top + row) * width + new_left) * channels;
        values[into..into + across * channels]
            .copy_from_slice(&pixels.values[from..from + across * channels]);
    }
    Pixels { values, width, height, channels }
}

/// Where the middle begins in what there is, and where it goes in what is wanted; transformers'
/// `center_crop` rounds the first down, and the second up.
fn offsets(from: usize, into: usize) -> (usize, usize) {
    if from >= into { ((from - into) / 2, 0) } else { (0, (into - from).div_ceil(2)) }
}
