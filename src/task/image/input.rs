//! The tensor that a graph takes for a picture, and how pixels become its elements.

use half::{bf16, f16};

use super::resize::{Pixels, Resizing};
use crate::model::{ColorOrder, Dim, ImageInput, ImageLayout, TensorSpec};
use crate::task::{InputError, TaskError, TaskSpec};
use crate::tensor::{Data, DataType, Tensor};

/// How pixels become rows of the graph's input.
#[derive(Debug)]
pub(super) struct PixelInput {
    resizing: Resizing,
    color: ColorOrder,
    layout: ImageLayout,
    data_type: DataType,
    /// What each of the 256 values becomes, for each channel of the tensor.
    tables: Vec<[f64; 256]>,
    told: String,
}

/// Rows under collection.
pub(super) struct PixelRows<'t> {
    input: &'t PixelInput,
    count: usize,
    elements: Elements,
}

enum Elements {
    Uint8(Vec<u8>),
    Fp16(Vec<f16>),
    Bf16(Vec<bf16>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
}

impl PixelInput {
    pub(super) fn build(spec: &TaskSpec<'_>) -> Result<Self, TaskError> {
        let settings = spec.manifest.image.clone().unwrap_or_default();
        let [input] = spec.signature.inputs.as_slice() else {
            let count = spec.signature.inputs.len();
            return Err(TaskError::one(format!("an image model takes one input, this graph has {count}")));
        };
        let mut problems = Vec::new();
        let Some((layout, dims)) = arranged(input, settings.layout) else {
            let problem = format!(
                "input {} has the shape {}: an image model takes [N,channels,height,width] or \
                 [N,height,width,channels]",
                input.name,
                input.shape_text()
            );
            return Err(TaskError::one(problem));
        };
        let color = color(&settings, dims[0]).map_err(TaskError::one)?;
        let size = size(&settings, [dims[1], dims[2]]).unwrap_or_else(|problem| {
            problems.push(problem);
            [1, 1]
        });
        let tables = tables(&settings, input.data_type, color).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        if let Some(scale) = settings.scale.filter(|scale| !scale.is_finite()) {
            problems.push(format!("image.scale: expected a finite number, got {scale}"));
        }
        TaskError::unless_empty(problems)?;
        let filter = settings.resize.unwrap_or_default();
        let resizing = Resizing { filter, to: settings.resize_to, size };
        let told = format!(
            "an image of {} x {} pixels, {} as {}, resized by the filter {:?}",
            size[1],
            size[0],
            words(color),
            input.data_type,
            filter
        );
        Ok(Self { resizing, color, layout, data_type: input.data_type, tables, told: told.to_lowercase() })
    }

    pub(super) fn told(&self) -> &str {
        &self.told
    }

    pub(super) fn color(&self) -> ColorOrder {
        self.color
    }

    pub(super) fn size(&self) -> [usize; 3] {
        let [height, width] = self.resizing.size;
        [height, width, self.color.channels()]
    }

    fn row_len(&self) -> usize {
        self.size().iter().product()
    }

    /// Bytes that one row takes.
    pub(super) fn row_bytes(&self) -> u64 {
        (self.row_len() * self.data_type.width().unwrap_or(1)) as u64
    }

    /// Room for `rows` rows.
    pub(super) fn rows(&self, rows: usize) -> PixelRows<'_> {
        let room = rows * self.row_len();
        let elements = match self.data_type {
            DataType::Uint8 => Elements::Uint8(Vec::with_capacity(room)),
            DataType::Fp16 => Elements::Fp16(Vec::with_capacity(room)),
            DataType::Bf16 => Elements::Bf16(Vec::with_capacity(room)),
            DataType::Fp64 => Elements::Fp64(Vec::with_capacity(room)),
            _ => Elements::Fp32(Vec::with_capacity(room)),
        };
        PixelRows { input: self, count: 0, elements }
    }

    /// Made-up pixels, another picture for each `seed`.
    pub(super) fn example(&self, seed: usize) -> Pixels {
        let [height, width, channels] = self.size();
        let value = |index: usize| u8::try_from((index * 97 + seed * 131) % 251).unwrap_or(0);
        let values = (0..height * width * channels).map(value).collect();
        Pixels { values, width, height, channels }
    }
}

impl PixelRows<'_> {
    /// Resizes a picture and adds it as a row.
    ///
    /// # Errors
    /// When it can't be brought to the size.
    pub(super) fn push(&mut self, pixels: Pixels) -> Result<(), InputError> {
        let sized = self.input.resizing.applied(pixels)?;
        self.push_sized(&sized);
        Ok(())
    }

    /// Adds a picture that has the size.
    pub(super) fn push_sized(&mut self, pixels: &Pixels) {
        self.count += 1;
        let input = self.input;
        match &mut self.elements {
            Elements::Uint8(row) => input.write(pixels, row, whole),
            Elements::Fp16(row) => input.write(pixels, row, f16::from_f64),
            Elements::Bf16(row) => input.write(pixels, row, bf16::from_f64),
            #[expect(clippy::cast_possible_truncation, reason = "the graph takes singles")]
            Elements::Fp32(row) => input.write(pixels, row, |value| value as f32),
            Elements::Fp64(row) => input.write(pixels, row, |value| value),
        }
    }

    pub(super) fn into_tensor(self) -> Tensor {
        let [height, width, channels] = self.input.size();
        let shape = match self.input.layout {
            ImageLayout::Nchw => vec![self.count, channels, height, width],
            ImageLayout::Nhwc => vec![self.count, height, width, channels],
        };
        let data: Data = match self.elements {
            Elements::Uint8(elements) => elements.into(),
            Elements::Fp16(elements) => elements.into(),
            Elements::Bf16(elements) => elements.into(),
            Elements::Fp32(elements) => elements.into(),
            Elements::Fp64(elements) => elements.into(),
        };
        Tensor::new(shape, data).expect("every row has the size")
    }
}

impl PixelInput {
    /// Appends the elements of one picture in the order of the layout.
    fn write<T: Copy>(&self, pixels: &Pixels, row: &mut Vec<T>, convert: impl Fn(f64) -> T) {
        let tables: Vec<[T; 256]> = self.tables.iter().map(|table| table.map(&convert)).collect();
        let channels = pixels.channels;
        // Where a channel of the tensor stands in a pixel.
        let place =
            |channel: usize| if self.color == ColorOrder::Bgr { channels - 1 - channel } else { channel };
        match self.layout {
            ImageLayout::Nchw => {
                for (channel, table) in tables.iter().enumerate() {
                    let values = pixels.values.iter().skip(place(channel)).step_by(channels);
                    row.extend(values.map(|&value| table[usize::from(value)]));
                }
            }
            ImageLayout::Nhwc => {
                for pixel in pixels.values.chunks_exact(channels) {
                    let element =
                        |(channel, table): (usize, &[T; 256])| table[usize::from(pixel[place(channel)])];
                    row.extend(tables.iter().enumerate().map(element));
                }
            }
        }
    }
}

/// Tables hold whole numbers for integers.
fn whole(value: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is meant")]
    let value = value.round() as u8;
    value
}

fn words(color: ColorOrder) -> &'static str {
    match color {
        ColorOrder::Rgb => "rgb",
        ColorOrder::Bgr => "bgr",
        ColorOrder::Grey => "grey",
    }
}

/// The layout, and the dimensions of channels, height and width in it.
fn arranged(input: &TensorSpec, wanted: Option<ImageLayout>) -> Option<(ImageLayout, [&Dim; 3])> {
    let [batch, second, third, fourth] = input.dims.as_slice() else { return None };
    if !matches!(batch, Dim::Free(_) | Dim::Fixed(1)) {
        return None;
    }
    let are_channels = |dim: &Dim| matches!(dim, Dim::Fixed(1 | 3));
    let layout = wanted.unwrap_or(if !are_channels(second) && are_channels(fourth) {
        ImageLayout::Nhwc
    } else {
        ImageLayout::Nchw
    });
    let dims = match layout {
        ImageLayout::Nchw => [second, third, fourth],
        ImageLayout::Nhwc => [fourth, second, third],
    };
    (are_channels(dims[0]) || matches!(dims[0], Dim::Free(_))).then_some((layout, dims))
}

fn color(settings: &ImageInput, channels: &Dim) -> Result<ColorOrder, String> {
    let usual = if *channels == Dim::Fixed(1) { ColorOrder::Grey } else { ColorOrder::Rgb };
    let color = settings.color.unwrap_or(usual);
    match channels {
        Dim::Fixed(count) if *count != color.channels() => Err(format!(
            "image.color: {} has {} channels, the graph takes {count}",
            words(color),
            color.channels()
        )),
        _ => Ok(color),
    }
}

fn size(settings: &ImageInput, dims: [&Dim; 2]) -> Result<[usize; 2], String> {
    let graph = dims.map(|dim| if let Dim::Fixed(size) = dim { Some(*size) } else { None });
    let wanted = settings.size.map(|size| size.map(std::num::NonZero::get));
    match (wanted, graph) {
        (Some(wanted), graph)
            if graph.iter().zip(wanted).all(|(own, size)| own.is_none_or(|own| own == size)) =>
        {
            Ok(wanted)
        }
        (Some(wanted), _) => {
            let shown = |dim: &Dim| dim.to_string();
            let dims = dims.map(shown).join(" x ");
            Err(format!("image.size: {wanted:?} (height, width), the graph takes {dims}"))
        }
        (None, [Some(height), Some(width)]) if height > 0 && width > 0 => Ok([height, width]),
        (None, _) => Err("image.size: the graph takes any: say [height, width] in model.toml, or add preprocessor_config.json".to_owned()),
    }
}

/// What each value becomes: `(value * scale - mean) / std` for each channel.
fn tables(settings: &ImageInput, data_type: DataType, color: ColorOrder) -> Result<Vec<[f64; 256]>, String> {
    let is_integer = data_type == DataType::Uint8;
    if !is_integer && !data_type.is_float() {
        return Err(format!("an image model takes floats or UINT8, this graph takes {data_type}"));
    }
    let scale = settings.scale.unwrap_or(if is_integer { 1.0 } else { 1.0 / 255.0 });
    let channels = color.channels();
    let each = |key: &str, values: Option<&Vec<f64>>, usual: f64| match values.map(Vec::as_slice) {
        None => Ok(vec![usual; channels]),
        Some([one]) => Ok(vec![*one; channels]),
        Some(values) if values.len() == channels => Ok(values.to_vec()),
        Some(values) => Err(format!(
            "image.{key}: expected one number or {channels}, one a channel, got {}",
            values.len()
        )),
    };
    let (mean, std) = (each("mean", settings.mean.as_ref(), 0.0)?, each("std", settings.std.as_ref(), 1.0)?);
    if mean.iter().any(|mean| !mean.is_finite()) {
        return Err("image.mean: expected finite numbers".to_owned());
    }
    if std.iter().any(|std| !std.is_finite() || *std == 0.0) {
        return Err("image.std: expected finite numbers other than zero".to_owned());
    }
    let table = |(mean, std): (&f64, &f64)| {
        let mut table = [0.0; 256];
        for (value, entry) in (0..=u8::MAX).zip(table.iter_mut()) {
            *entry = (f64::from(value) * scale - mean) / std;
        }
        table
    };
    Ok(mean.iter().zip(&std).map(table).collect())
}
