//! Pixels brought to a size: Pillow's filters, and the cut out of the middle of transformers.

use std::num::NonZeroUsize;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::model::{ResizeFilter, ResizeTo};
use crate::task::InputError;
use crate::task::problem::InputErrorCode::{InvalidInput, ShapeMismatch, TooLarge};

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
    if height.saturating_mul(width) > MOST_PIXELS {
        let detail = "expected an image with edges of like length, got one that is far longer than wide";
        return Err(InputError::new(TooLarge, String::new(), detail));
    }
    let failed = || InputError::new(InvalidInput, String::new(), "the image can't be resized");
    let algorithm = match filter {
        ResizeFilter::None | ResizeFilter::Nearest => ResizeAlg::Nearest,
        ResizeFilter::Box => ResizeAlg::Convolution(FilterType::Box),
        ResizeFilter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        ResizeFilter::Hamming => ResizeAlg::Convolution(FilterType::Hamming),
        ResizeFilter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        ResizeFilter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let kind = if pixels.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let size = |size: usize| u32::try_from(size).map_err(|_| failed());
    let from = ImageRef::new(size(pixels.width)?, size(pixels.height)?, &pixels.values, kind);
    let mut into = Image::new(size(width)?, size(height)?, kind);
    let options = ResizeOptions::new().resize_alg(algorithm).use_alpha(false);
    Resizer::new().resize(&from.map_err(|_| failed())?, &mut into, &options).map_err(|_| failed())?;
    Ok(Pixels { values: into.into_vec(), width, height, channels: pixels.channels })
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
