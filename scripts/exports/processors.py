"""The image processors of transformers that images.py asks, as exports write them and as model.toml's [image]."""

import sys

import numpy as np
import transformers
from transformers import ImageProcessingMixin

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALVES = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
RESCALE = 1 / 255


def processor(kind, resample, statistics=None, **settings):
    """preprocessor_config.json of a class, with the keys that the library writes for all of them."""
    mean, std = statistics or (None, None)
    common = {
        "image_processor_type": kind, "do_resize": True, "resample": resample, "do_rescale": True,
        "rescale_factor": RESCALE, "do_normalize": statistics is not None,
    }
    normalize = {} if statistics is None else {"image_mean": mean, "image_std": std}
    return {**common, **normalize, **settings}


def image(size, resize, statistics=None, **settings):
    """The same as [image] of model.toml."""
    mean, std = statistics or (None, None)
    common = {"size": size, "resize": resize, "color": "rgb", "scale": RESCALE, "layout": "nchw"}
    return {**common, **({} if statistics is None else {"mean": mean, "std": std}), **settings}


def square(edge):
    """A size in the form of {"height", "width"}."""
    return {"height": edge, "width": edge}


def middle(edge, **settings):
    """Keys for cutting out the middle."""
    return {"do_center_crop": True, "crop_size": square(edge), **settings}


EFFICIENTNET_STD = [0.47853944, 0.4732864, 0.47434163]

# (picture, preprocessor_config.json, [image]).
PROCESSORS = [
    ("large.jpg", processor("ViTImageProcessor", 2, HALVES, size=square(16)), image([16, 16], "bilinear", HALVES)),
    ("tiny.png", processor("ViTImageProcessor", 3, HALVES, size=square(16)), image([16, 16], "bicubic", HALVES)),
    ("grey.png", processor("ViTImageProcessor", 2, IMAGENET, size={"height": 12, "width": 20}),
     image([12, 20], "bilinear", IMAGENET)),
    ("turned-6.jpg", processor("ViTImageProcessor", 2, HALVES, size=square(12)), image([12, 12], "bilinear", HALVES)),
    # As files of 2021 have it: a class of that time, and one number for a square.
    ("rgb.png", {"do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
                 "image_mean": HALVES[0], "image_std": HALVES[1], "resample": 2, "size": 16},
     image([16, 16], "bilinear", HALVES)),
    ("rgba.png", processor("SiglipImageProcessor", 3, HALVES, size=square(14)), image([14, 14], "bicubic", HALVES)),
    ("large.png", processor("CLIPImageProcessor", 3, CLIP, size={"shortest_edge": 16}, do_convert_rgb=True,
                            **middle(16)),
     image([16, 16], "bicubic", CLIP, resize_to=16)),
    # One number is the shorter edge for some classes, and a square for others.
    ("large.png", {"crop_size": 16, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                   "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP[0], "image_std": CLIP[1],
                   "resample": 3, "size": 18},
     image([16, 16], "bicubic", CLIP, resize_to=18)),
    ("palette.png", processor("BitImageProcessor", 3, IMAGENET, size={"shortest_edge": 19}, do_convert_rgb=True,
                              **middle(16)),
     image([16, 16], "bicubic", IMAGENET, resize_to=19)),
    ("large.png", processor("DeiTImageProcessor", 3, IMAGENET, size=square(20), **middle(16)),
     image([16, 16], "bicubic", IMAGENET, resize_to=[20, 20])),
    # The middle of what is smaller has black around it.
    ("rgb.png", processor("DeiTImageProcessor", 3, IMAGENET, size={"height": 9, "width": 12}, **middle(16)),
     image([16, 16], "bicubic", IMAGENET, resize_to=[9, 12])),
    ("large.png", processor("ConvNextImageProcessor", 3, IMAGENET, size={"shortest_edge": 16}, crop_pct=0.875),
     image([16, 16], "bicubic", IMAGENET, resize_to=18)),
    ("halved.jpg", {"crop_pct": 0.875, "do_normalize": True, "do_resize": True,
                    "feature_extractor_type": "ConvNextFeatureExtractor", "image_mean": IMAGENET[0],
                    "image_std": IMAGENET[1], "resample": 3, "size": 16},
     image([16, 16], "bicubic", IMAGENET, resize_to=18)),
    ("large.png", processor("BeitImageProcessor", 3, HALVES, size=square(20), do_reduce_labels=False, **middle(16)),
     image([16, 16], "bicubic", HALVES, resize_to=[20, 20])),
    ("progressive.jpg", processor("MobileNetV2ImageProcessor", 2, HALVES, size={"shortest_edge": 18}, **middle(16)),
     image([16, 16], "bilinear", HALVES, resize_to=18)),
    # Blue comes first, and nothing is subtracted.
    ("large.png", {key: value for key, value in processor("MobileViTImageProcessor", 3, size={"shortest_edge": 18},
                   do_flip_channel_order=True, **middle(16)).items() if key != "do_normalize"},
     image([16, 16], "bicubic", resize_to=18, color="bgr")),
    # Its shorter edge is 256/224 of what the file says.
    ("large.png", processor("LevitImageProcessor", 3, IMAGENET, size={"shortest_edge": 14}, **middle(14)),
     image([14, 14], "bicubic", IMAGENET, resize_to=16)),
    ("large.png", processor("PoolFormerImageProcessor", 3, IMAGENET, size={"shortest_edge": 18}, crop_pct=0.9,
                            **middle(16)),
     image([16, 16], "bicubic", IMAGENET, resize_to=20)),
    # Divided by the deviation twice.
    ("large.png", processor("EfficientNetImageProcessor", 0, (IMAGENET[0], EFFICIENTNET_STD), size=square(16),
                            do_center_crop=False, crop_size=square(16), rescale_offset=False, include_top=True),
     image([16, 16], "nearest", (IMAGENET[0], [value * value for value in EFFICIENTNET_STD]))),
    ("large.png", processor("EfficientNetImageProcessor", 3, HALVES, size=square(16), do_center_crop=False,
                            crop_size=square(16), rescale_offset=True, include_top=False,
                            rescale_factor=1 / 127.5),
     image([16, 16], "bicubic", ([1.5, 1.5, 1.5], HALVES[1]), scale=1 / 127.5)),
    ("large.png", processor("ViTImageProcessor", 1, size=square(16)), image([16, 16], "lanczos")),
    ("large.png", processor("ViTImageProcessor", 4, HALVES, size=square(16), do_rescale=False),
     image([16, 16], "box", HALVES, scale=1)),
    ("tiny.jpg", processor("ViTImageProcessor", 2, HALVES, size={"height": 5, "width": 7}, do_resize=False),
     image([5, 7], "none", HALVES)),
]


def by_keys(picture, settings):
    """[image] in NumPy, so that the two descriptions can be held against each other."""
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
    height, width = settings["size"]
    to = settings.get("resize_to", [height, width])
    if isinstance(to, int):
        short, long = sorted(picture.size)
        edges = [to, int(to * long / short)]
        to = edges if picture.height <= picture.width else edges[::-1]
    if settings["resize"] != "none":
        picture = picture.resize((to[1], to[0]), filters[settings["resize"]])
    values = np.asarray(picture, np.float64)
    room = [max(wanted - came, 0) for wanted, came in zip((height, width), values.shape)]
    values = np.pad(values, [(-(-room[0] // 2), room[0] // 2), (-(-room[1] // 2), room[1] // 2), (0, 0)])
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    values = values[top:top + height, left:left + width]
    if settings["color"] == "bgr":
        values = values[..., ::-1]
    values = (values * settings["scale"] - settings.get("mean", 0)) / settings.get("std", 1)
    return values.transpose(2, 0, 1)[None]


def tensor(settings, picture, keys):
    """`pixel_values` by the class that `settings` names, which must agree with [image]'s `keys`."""
    name = settings.get("image_processor_type") or settings["feature_extractor_type"]
    kind = getattr(transformers, name.replace("FeatureExtractor", "ImageProcessor"))
    assert issubclass(kind, ImageProcessingMixin)
    values = kind.from_dict(settings)(picture, return_tensors="np")["pixel_values"]
    apart = np.abs(values - by_keys(picture, keys)).max()
    if values.dtype != np.float32 or not apart < 1e-5:
        sys.exit(f"error: {name} and its [image] are {apart} apart, {values.dtype}")
    return values
