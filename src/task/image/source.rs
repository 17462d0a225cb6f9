//! A picture as it came: its format and size are read at once, its pixels when they are needed.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::resize::Pixels;
use crate::model::ColorOrder;
use crate::task::InputError;
use crate::task::problem::InputErrorCode::{InvalidInput, TooLarge};

/// The standard alphabet, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a decoded pixel at most: four channels of 16 bits.
const MOST_PIXEL_BYTES: u64 = 8;

/// Room for colour profiles and the like, which the decoder unpacks.
const PROFILE_BYTES: u64 = 4 << 20;

/// A picture whose header was read.
#[derive(Clone, Debug)]
pub(in crate::task) struct Picture {
    bytes: Vec<u8>,
    format: ImageFormat,
    pixels: u64,
}

fn invalid(detail: impl Into<String>) -> InputError {
    InputError::new(InvalidInput, String::new(), detail)
}

impl Picture {
    /// Reads format and size.
    ///
    /// # Errors
    /// When it is neither a PNG nor a JPEG image, or has more than `max_pixels`.
    pub(super) fn probe(bytes: Vec<u8>, max_pixels: u64) -> Result<Self, InputError> {
        let format = match image::guess_format(&bytes) {
            Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
            Ok(other) => return Err(invalid(format!("expected a PNG or JPEG image, got {}", name(other)))),
            Err(_) if bytes.is_empty() => return Err(invalid("expected a PNG or JPEG image, got nothing")),
            Err(_) => {
                let came = bytes.len();
                return Err(invalid(format!(
                    "expected a PNG or JPEG image, got {came} bytes of something else"
                )));
            }
        };
        let (width, height) = dimensions(&bytes, format).ok_or_else(|| {
            invalid(format!("the {} image has a header that is broken or cut off", name(format)))
        })?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(invalid("expected an image with pixels, got an empty one"));
        }
        if pixels > max_pixels {
            let detail = format!("expected an image of at most {max_pixels} pixels, got {width} x {height}");
            return Err(InputError::new(TooLarge, String::new(), detail));
        }
        // The decoder would paint what is missing grey.
        if format == ImageFormat::Jpeg && !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
            return Err(invalid("the JPEG image is cut off"));
        }
        if format == ImageFormat::Png
            && let Some(length) = palette_bytes(&bytes).find(|length| length % 3 != 0 || *length > 3 * 256)
        {
            return Err(invalid(format!(
                "the PNG image has a broken palette: expected up to 256 colours of 3 bytes, got {length} bytes"
            )));
        }
        Ok(Self { bytes, format, pixels })
    }

    /// Reads a picture in base64, or a `data:` URL of one.
    ///
    /// # Errors
    /// As [`Self::probe`], or when the text is no base64.
    pub(super) fn from_base64(text: &str, max_pixels: u64) -> Result<Self, InputError> {
        let encoded = match text.strip_prefix("data:") {
            Some(url) => match url.split_once(";base64,") {
                Some((_, encoded)) => encoded,
                None => return Err(invalid("expected a data URL with \";base64,\", got another")),
            },
            None => text,
        };
        // Line breaks are what MIME encoders put in.
        let has_space = encoded.bytes().any(|byte| byte.is_ascii_whitespace());
        let decoded = if has_space {
            let plain: Vec<u8> = encoded.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(plain)
        } else {
            BASE64.decode(encoded)
        };
        let bytes = decoded.map_err(|_| {
            let came = text.chars().count();
            invalid(format!("expected an image in base64 (A-Z, a-z, 0-9, +, /), got {came} other characters"))
        })?;
        Self::probe(bytes, max_pixels)
    }

    /// Bytes of the image as it came.
    pub(in crate::task) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many pixels it has.
    pub(in crate::task) fn pixel_count(&self) -> u64 {
        self.pixels
    }

    /// Its pixels, upright, without transparency.
    ///
    /// # Errors
    /// When the image is broken.
    pub(super) fn pixels(&self, color: ColorOrder) -> Result<Pixels, InputError> {
        let broken = |_| invalid(format!("the {} image is broken or cut off", name(self.format)));
        let mut reader = ImageReader::with_format(Cursor::new(self.bytes.as_slice()), self.format);
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.pixels * MOST_PIXEL_BYTES + PROFILE_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(broken)?;
        // Cameras write pictures lying down, with a note how to turn them.
        let orientation = decoder.orientation();
        let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
        if let Ok(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        Ok(converted(image, color))
    }
}

/// Width and height by the header alone.
fn dimensions(bytes: &[u8], format: ImageFormat) -> Option<(u32, u32)> {
    if format == ImageFormat::Png {
        // IHDR comes first. The decoder would go on to what lies behind it, and unpack a profile.
        let header: &[u8; 12] = bytes.get(12..)?.first_chunk()?;
        let (kind, numbers) = header.split_first_chunk::<4>()?;
        let [width, height] = numbers.as_chunks::<4>().0 else { return None };
        return (kind == b"IHDR").then(|| (u32::from_be_bytes(*width), u32::from_be_bytes(*height)));
    }
    ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok()
}

/// Lengths of the palettes that stand before the pixels. Others than PNG allows (3rd edition, 11.2.2) make the
/// decoder (png 0.18) panic.
fn palette_bytes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (kind, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        // Behind the data comes a checksum.
        rest = after.get(length.checked_add(4)?..).unwrap_or_default();
        (kind != b"IDAT").then_some((kind, length))
    })
    .filter_map(|(kind, length)| (kind == b"PLTE").then_some(length))
}

fn name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Avif => "AVIF",
        _ => "another format",
    }
}

/// Eight bits a channel; transparency is left out, as Pillow's `convert` does.
fn converted(image: DynamicImage, color: ColorOrder) -> Pixels {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let grey = color == ColorOrder::Grey;
    let values = match image {
        DynamicImage::ImageLuma8(image) => from_grey(image.as_raw(), 1, grey),
        DynamicImage::ImageLumaA8(image) => from_grey(image.as_raw(), 2, grey),
        DynamicImage::ImageRgb8(image) if !grey => image.into_raw(),
        DynamicImage::ImageRgb8(image) => from_color(image.as_raw(), 3, grey),
        DynamicImage::ImageRgba8(image) => from_color(image.as_raw(), 4, grey),
        DynamicImage::ImageLuma16(image) => from_grey(&high_bytes(image.as_raw()), 1, grey),
        DynamicImage::ImageLumaA16(image) => from_grey(&high_bytes(image.as_raw()), 2, grey),
        DynamicImage::ImageRgb16(image) => from_color(&high_bytes(image.as_raw()), 3, grey),
        DynamicImage::ImageRgba16(image) => from_color(&high_bytes(image.as_raw()), 4, grey),
        // PNG and JPEG have no others.
        other => from_color(other.to_rgb8().as_raw(), 3, grey),
    };
    Pixels { values, width, height, channels: if grey { 1 } else { 3 } }
}

fn high_bytes(values: &[u16]) -> Vec<u8> {
    values.iter().map(|value| value.to_be_bytes()[0]).collect()
}

fn from_grey(values: &[u8], stride: usize, grey: bool) -> Vec<u8> {
    let pixels = values.chunks_exact(stride).map(|pixel| pixel[0]);
    if grey { pixels.collect() } else { pixels.flat_map(|value| [value; 3]).collect() }
}

fn from_color(values: &[u8], stride: usize, grey: bool) -> Vec<u8> {
    let pixels = values.chunks_exact(stride);
    if grey {
        pixels.map(|pixel| luminance([pixel[0], pixel[1], pixel[2]])).collect()
    } else {
        pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }
}

/// ITU-R 601-2, in the fixed-point form and with the rounding of Pillow's `convert("L")`.
fn luminance([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471 + 0x8000;
    u8::try_from(sum >> 16).unwrap_or(u8::MAX)
}
