"""Writes PNG files of the kinds that Pillow can't write: 16 bits a channel in colour, and interlaced.

Used by images.py. Rows are not filtered, so the bytes depend on zlib alone.
"""

import struct
import zlib

# Where each of Adam7's seven passes begins and how far it steps: x, y, step in x, step in y.
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def chunk(kind, data):
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scanlines(pixels):
    """Rows of [height, width, channels], each behind the number of its filter, which is none."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def encode(pixels, interlaced=False):
    """A PNG of [height, width, channels] in uint8 or uint16."""
    height, width, channels = pixels.shape
    depth = pixels.dtype.itemsize * 8
    pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
    header = struct.pack(">IIBBBBB", width, height, depth, COLOR_TYPES[channels], 0, 0, int(interlaced))
    passes = [pixels[y::dy, x::dx] for x, y, dx, dy in ADAM7] if interlaced else [pixels]
    data = zlib.compress(b"".join(scanlines(part) for part in passes if part.size), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
