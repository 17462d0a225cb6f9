"""Writes tests/fixtures/images/: small pictures, and what Pillow and transformers make of them.

`references.json` holds, under `pixels`, pictures decoded, converted and resized by Pillow, and under
`tensors`, the values that transformers' image processors hand to a model, with the
`preprocessor_config.json` that says so and the same as model.toml's [image]. Run by remake-hf.sh.
Pictures are drawn, never downloaded; every file is the same, byte for byte, in every run.
"""

import argparse
import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import PIL
import transformers
from PIL import Image, ImageDraw, ImageOps

import png
from processors import PROCESSORS, tensor

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "images"
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
MODES = {"rgb": "RGB", "bgr": "RGB", "grey": "L"}
ORIENTATION = 0x0112


# === drawing ===


def drawing(width, height, seed, noise=6):
    """A picture in RGB with what shows a wrong filter: gradients, edges, thin strokes and noise."""
    y, x = np.mgrid[0:height, 0:width]
    waves = 127.5 + 127.5 * np.sin(x * x / (1.5 * width) + y / 3)
    planes = [255 * x / max(width - 1, 1), 255 * y / max(height - 1, 1), waves]
    grain = np.random.default_rng(seed).normal(0, noise, (height, width, 3))
    image = Image.fromarray(np.clip(np.stack(planes, axis=-1) + grain, 0, 255).round().astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse([width * 0.55, height * 0.1, width * 0.95, height * 0.6], fill=(230, 40, 60))
    draw.rectangle([width * 0.1, height * 0.6, width * 0.4, height * 0.9], fill=(10, 20, 30), outline=(255, 255, 0))
    for step in range(0, width // 2, 4):  # like the strokes of letters
        draw.line([width * 0.1 + step, height * 0.15, width * 0.1 + step, height * 0.4], fill=(0, 0, 0))
    draw.line([0, height - 1, width - 1, 0], fill=(255, 255, 255))
    return image


def with_alpha(image):
    """The picture with every share of transparency, none and all included."""
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width]
    alpha = ((x * 255) // max(width - 1, 1) * (y % 3 != 0)).astype(np.uint8)
    image = image.copy()
    image.putalpha(Image.fromarray(alpha))
    return image


def wide(image):
    """The picture in 16 bits a channel; the low bytes are not those of the high ones."""
    values = np.asarray(image).astype(np.uint16)
    low = (values * 37 + 11) % 256
    return values * 256 + low


def saved(image, kind, **options):
    """The picture as a file's bytes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation):
    """EXIF data that says how a picture lies."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def pictures():
    """Every picture's bytes by the name of its file."""
    large = drawing(200, 120, 8, noise=1)
    files = {
        "grey.png": saved(drawing(37, 23, 1).convert("L"), "PNG"),
        "rgb.png": saved(drawing(31, 24, 2), "PNG"),
        "rgba.png": saved(with_alpha(drawing(24, 18, 3)), "PNG"),
        "grey-alpha.png": saved(with_alpha(drawing(19, 17, 4).convert("L")), "PNG"),
        "palette.png": saved(drawing(29, 20, 5).quantize(32), "PNG"),
        "palette-transparent.png": saved(drawing(16, 20, 5).quantize(16), "PNG", transparency=3),
        "bits.png": saved(drawing(21, 13, 6).convert("1"), "PNG"),
        "grey-16.png": png.encode(wide(drawing(17, 11, 7).convert("L"))[..., None]),
        "rgb-16.png": png.encode(wide(drawing(18, 12, 7))),
        "rgba-16.png": png.encode(wide(with_alpha(drawing(12, 9, 7)))),
        "interlaced.png": png.encode(np.asarray(drawing(23, 29, 9)), interlaced=True),
        "tiny.png": saved(drawing(7, 5, 10), "PNG"),
        "pixel.png": saved(Image.new("RGB", (1, 1), (200, 100, 50)), "PNG"),
        "large.png": saved(large, "PNG", optimize=True),
        "rgb.jpg": saved(drawing(31, 24, 2), "JPEG", quality=92, subsampling="4:4:4"),
        "halved.jpg": saved(drawing(37, 23, 11), "JPEG", quality=85, subsampling="4:2:0"),
        "halved-across.jpg": saved(drawing(27, 21, 12), "JPEG", quality=85, subsampling="4:2:2"),
        "grey.jpg": saved(drawing(37, 23, 1).convert("L"), "JPEG", quality=85),
        "cmyk.jpg": saved(drawing(24, 16, 13).convert("CMYK"), "JPEG", quality=92),
        "progressive.jpg": saved(drawing(40, 27, 14), "JPEG", quality=75, progressive=True, subsampling="4:2:0"),
        "tiny.jpg": saved(drawing(7, 5, 10), "JPEG", quality=90, subsampling="4:2:0"),
        "large.jpg": saved(large, "JPEG", quality=80, progressive=True),
    }
    for orientation in range(2, 9):
        options = {"quality": 90, "subsampling": "4:4:4", "exif": turned(orientation)}
        files[f"turned-{orientation}.jpg"] = saved(drawing(16, 9, 15), "JPEG", **options)
    return files


# === references ===


def opened(data, color, transpose):
    """The picture as Pillow opens it, in the mode of `color`; upright where `transpose` asks for it."""
    image = Image.open(io.BytesIO(data))
    image.load()
    if transpose:
        image = ImageOps.exif_transpose(image)
    return image.convert(MODES[color])


def pixels(data, name, filter_name, size, color, transpose=None):
    """One reference: the picture `name` by Pillow."""
    image = opened(data, color, transpose)
    if filter_name != "none":
        image = image.resize((size[1], size[0]), FILTERS[filter_name])
    values = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    if color == "bgr":
        values = values[..., ::-1]
    reference = {
        "file": name, "filter": filter_name, "size": [image.height, image.width], "color": color,
        "pixels_b64": base64.b64encode(values.tobytes()).decode(),
    }
    return reference if transpose is None else {**reference, "exif_transpose": transpose}


def high_bytes():
    """grey-16.png as one would expect it; Pillow makes everything above 255 white."""
    values = (wide(drawing(17, 11, 7).convert("L")) >> 8).astype(np.uint8)
    return {
        "file": "grey-16.png", "filter": "none", "size": list(values.shape), "color": "grey", "high_bytes": True,
        "pixels_b64": base64.b64encode(values.tobytes()).decode(),
    }


def decoded(files):
    """Every small picture without resizing; those with a note how they lie in both ways."""
    for name, data in files.items():
        if name.startswith("large"):
            continue
        ways = [False, True] if name.startswith("turned") else [None]
        for transpose in ways:
            yield pixels(data, name, "none", None, "rgb", transpose)
    for name in ["rgb.png", "rgba.png", "grey-alpha.png", "grey-16.png", "palette.png", "rgb.jpg", "grey.jpg"]:
        yield pixels(files[name], name, "none", None, "grey")
    yield pixels(files["rgb.png"], "rgb.png", "none", None, "bgr")
    yield high_bytes()


def resized(files):
    """Smaller and larger, by each filter, also in one direction alone."""
    sizes = {
        "large.png": [[16, 16], [12, 31]],
        "rgb.png": [[12, 12], [24, 13], [40, 9]],
        "tiny.png": [[16, 16], [5, 20], [3, 2]],
        "pixel.png": [[4, 4]],
        "grey.png": [[23, 11], [8, 40]],
        "rgba.png": [[11, 16]],
        "large.jpg": [[16, 16]],
    }
    for name, wanted in sizes.items():
        for size in wanted:
            for filter_name in FILTERS:
                yield pixels(files[name], name, filter_name, size, "rgb")
    for filter_name in FILTERS:
        yield pixels(files["large.png"], "large.png", filter_name, [13, 17], "grey")
        yield pixels(files["grey.png"], "grey.png", filter_name, [13, 17], "grey")
    yield pixels(files["large.png"], "large.png", "bicubic", [9, 9], "bgr")


def tensors(files):
    """What transformers' processors make of pictures, opened as its pipelines open them."""
    for name, processor, image in PROCESSORS:
        upright = opened(files[name], "rgb", transpose=True)
        values = tensor(processor, upright, image)
        yield {
            "file": name, "processor": processor, "image": image, "shape": list(values.shape),
            "tensor_b64": base64.b64encode(values.astype("<f4").tobytes()).decode(),
        }


def lines(name, entries):
    """A member of references.json, an entry a line."""
    return f'"{name}": [\n' + ",\n".join(json.dumps(entry) for entry in entries) + "\n]"


def references(files):
    """references.json."""
    python = f"Pillow {PIL.__version__}, transformers {transformers.__version__}"
    parts = [f'"python": {json.dumps(python)}', lines("pixels", [*decoded(files), *resized(files)]),
             lines("tensors", tensors(files))]
    return ("{" + ",\n".join(parts) + "}\n").encode()


def main():
    """Writes or compares every file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing: the files must be those in git")
    args = parser.parse_args()
    files = pictures()
    files["references.json"] = references(files)
    if args.check:
        wrong = [name for name, data in files.items() if not (FOLDER / name).is_file()
                 or (FOLDER / name).read_bytes() != data]
        if wrong:
            sys.exit(f"error: differ from what this script writes: {', '.join(wrong)}")
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            part = FOLDER / f"{name}.part"
            part.write_bytes(data)
            part.replace(FOLDER / name)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes")


if __name__ == "__main__":
    main()
