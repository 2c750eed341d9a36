"""Reading pictures as people have them: upright, 8 bits, grey or RGB, whatever the file holds."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

from fer_jax.errors import DAMAGED, UserError

AGAIN = 'copy the file again from the release'
# What a picture's name may end with -> its type, as Pillow calls it.
TYPES = {
    '.png': 'PNG',
    '.jpeg': 'JPEG',
    '.jpg': 'JPEG',
    '.jfif': 'JPEG',
    '.tiff': 'TIFF',
    '.tif': 'TIFF',
    '.bmp': 'BMP',
    '.webp': 'WEBP',
    '.avif': 'AVIF',
    '.pgm': 'PPM',
    '.ppm': 'PPM',
    '.pnm': 'PPM',
}
_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_ORIENTATION = 0x0112  # the EXIF tag
_MOST_PIXELS = 2**27
_TOO_MANY = 'its header states more pixels than any camera has'
_PAPER = 255  # what shows through transparent pixels


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture as uint8 [H, W, 1] (grey) or [H, W, 3] (RGB), upright.

    Its name ends with one of TYPES; where the content is of another one of them, the content
    counts. EXIF orientation is obeyed, transparent pixels are white, 16 bits become 8, CMYK and Lab
    become RGB. Indices into a palette become the palette's colours, one channel where all of those
    are grey (three of a PNG).

    Raises:
      UserError: the file is missing, truncated, damaged, of another type, or has pixels whose range
        is not known (32 bits).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; {AGAIN}') from error
    kind = TYPES[path.suffix.lower()]
    if not data:
        raise UserError(f'{path}: unreadable image (empty file); {AGAIN}')
    if data.startswith(_PNG_SIGNATURE):
        return _read_png(path, data)
    try:
        # Pillow fails on a picture cut short, where OpenCV fills up with grey.
        image = _opened(io.BytesIO(data))
        _check_size(path, image.size)
        image.load()
    except Image.DecompressionBombError:
        raise UserError(f'{path}: {_TOO_MANY}; {AGAIN}') from None
    except (*DAMAGED, SyntaxError, UserWarning):
        fault = 'not a PNG' if kind == 'PNG' else f'truncated, damaged or no {kind}'
        raise UserError(f'{path}: unreadable image ({fault}); {AGAIN}') from None
    return _upright(_levels(path, image), _orientation(image))


def _opened(file: io.BytesIO) -> Image.Image:
    """Opens a picture of one of TYPES; its size is not judged."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        return Image.open(file, formats=sorted(set(TYPES.values())))


def _check_size(path: Path, size: tuple[int, ...]) -> None:
    """Refuses a picture whose header states more pixels than any camera's has."""
    width, height = size
    if width * height > _MOST_PIXELS:
        raise UserError(f'{path}: {_TOO_MANY}; {AGAIN}')


def _levels(path: Path, image: Image.Image) -> np.ndarray:
    """Converts a decoded picture to uint8 [H, W, 1 or 3], not yet turned."""
    if image.has_transparency_data:
        return _on_paper(np.array(image.convert('RGBA')))
    # Pillow widens a PGM of 16 bits to 32.
    if image.mode.startswith('I;16') or (image.mode, image.format) == ('I', 'PPM'):
        return np.rint(np.array(image).astype(np.float64) / 257).astype(np.uint8)[:, :, None]
    if image.mode in ('1', 'L'):
        return np.array(image.convert('L'))[:, :, None]
    if image.mode == 'LAB':
        profiles = (ImageCms.createProfile(name) for name in ('LAB', 'sRGB'))
        to_rgb = ImageCms.buildTransform(*profiles, inMode='LAB', outMode='RGB')
        return np.array(ImageCms.applyTransform(image, to_rgb))
    if image.mode not in ('P', 'RGB', 'RGBX', 'CMYK', 'YCbCr', 'HSV'):
        raise UserError(f'{path}: {image.mode} pixels; convert the image to 8 bits a channel')
    colours = np.array(image.convert('RGB'))
    grey = image.mode == 'P' and not np.ptp(colours, axis=2).any()
    return colours[:, :, :1] if grey else colours


def _read_png(path: Path, data: bytes) -> np.ndarray:
    """Decodes a PNG.

    The file's chunks are walked and their checksums compared first: whether a truncated picture is
    an error or comes back half grey depends on OpenCV's version, and neither names the fault.
    """
    fault = _png_fault(data)
    if not fault:
        _check_size(path, struct.unpack_from('>II', data, len(_PNG_SIGNATURE) + 8))
    image = None if fault else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UserError(f'{path}: unreadable image ({fault or "cannot be decoded"}); {AGAIN}')
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    if image.ndim == 2:
        levels = image[:, :, None]
    elif image.shape[2] == 4:
        levels = _on_paper(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
    else:
        levels = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    turned = b'eXIf' in data
    return _upright(levels, _orientation(_opened(io.BytesIO(data))) if turned else 1)


def _on_paper(pixels: np.ndarray) -> np.ndarray:
    """Lays uint8 [H, W, 4], RGB and opacity, on white: [H, W, 3]."""
    opacity = pixels[:, :, 3:].astype(np.float32) / 255
    mixed = pixels[:, :, :3] * opacity + _PAPER * (1 - opacity)
    return np.rint(mixed).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """Reads the EXIF orientation, 1 (upright) to 8; 1 where it is missing or damaged."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error, UserWarning):
        return 1  # a camera's notes are damaged, its picture is not
    return value if value in range(1, 9) else 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors [H, W, C] as the EXIF orientation asks for."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _png_fault(data: bytes) -> str:
    """Names what is wrong with a PNG's chunks, '' where they are whole."""
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from('>I', data, at)
        end = at + 12 + length
        if end > len(data):
            break
        (checksum,) = struct.unpack_from('>I', data, end - 4)
        if zlib.crc32(data[at + 4 : end - 4]) != checksum:
            return 'damaged, wrong checksum'
        if data[at + 4 : at + 8] == b'IEND':
            return ''
        at = end
    return 'truncated'
