"""Pictures as people have them: turned, transparent, deep, damaged, wrongly named."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from fer_jax.data.datasets import pictures
from fer_jax.errors import UserError


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / 'picture.png'
    image = np.random.default_rng(0).integers(0, 256, (64, 80)).astype(np.uint8)
    cv2.imwrite(str(path), image)
    return path


def shades(height=20, width=30) -> np.ndarray:
    """Uint8 [H, W, 3] in which no two pixels of a row or column are alike."""
    grey = np.add.outer(5 * np.arange(height), 8 * np.arange(width)).astype(np.uint8)
    return np.dstack([grey, 255 - grey, grey // 2])


def test_pictures_come_as_grey_or_rgb(picture, tmp_path):
    grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(pictures.read_picture(picture), grey[:, :, None])
    bgr = np.dstack([grey, grey // 2, grey // 3])
    for name, image in (('bgr', bgr), ('bgra', np.dstack([bgr, np.full_like(grey, 255)]))):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
        found = pictures.read_picture(tmp_path / f'{name}.png')
        np.testing.assert_array_equal(found, bgr[:, :, ::-1])


@pytest.mark.parametrize('kept', [0, 4, 8, 60, 0.5, 0.99, -1])
def test_every_truncation_is_found(picture, kept):
    data = picture.read_bytes()
    keep = int(kept * len(data)) if isinstance(kept, float) else kept
    picture.write_bytes(data[:keep])
    with pytest.raises(UserError, match=f'{picture}: unreadable image .*copy the file again'):
        pictures.read_picture(picture)


def test_a_damaged_picture_and_a_foreign_file_are_found(picture, tmp_path):
    data = bytearray(picture.read_bytes())
    data[len(data) // 2] ^= 0xFF
    picture.write_bytes(bytes(data))
    with pytest.raises(UserError, match='damaged'):
        pictures.read_picture(picture)
    picture.write_bytes(b'GIF89a' + bytes(100))
    with pytest.raises(UserError, match='not a PNG'):
        pictures.read_picture(picture)
    with pytest.raises(UserError, match='No such file'):
        pictures.read_picture(tmp_path / 'absent.png')


def test_pictures_of_other_types_are_read_as_they_are(tmp_path):
    grey = np.add.outer(np.arange(20), 8 * np.arange(30)).astype(np.uint8)
    colour = np.dstack([grey, 255 - grey, grey // 2])
    Image.fromarray(grey).save(tmp_path / 'grey.tiff')
    Image.fromarray(grey).save(tmp_path / 'grey.BMP')
    Image.fromarray(colour).save(tmp_path / 'colour.tif', compression='tiff_lzw')
    reds = Image.frombytes('P', (30, 20), (grey % 2).tobytes())
    reds.putpalette([200, 10, 20, 100, 110, 120])
    reds.save(tmp_path / 'reds.tiff')
    for name in ('grey.tiff', 'grey.BMP'):
        np.testing.assert_array_equal(pictures.read_picture(tmp_path / name), grey[..., None])
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / 'colour.tif'), colour)
    table = np.array([[200, 10, 20], [100, 110, 120]])
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / 'reds.tiff'), table[grey % 2])


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('empty.jpeg', b'', 'empty file'),
        ('png.jpeg', b'\x89PNG\r\n\x1a\n' + b'0' * 60, 'truncated'),
        ('text.tiff', b'not a picture at all', 'truncated, damaged or no TIFF'),
    ],
)
def test_pictures_that_are_none_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f'{name}: unreadable image .{message}'):
        pictures.read_picture(tmp_path / name)


def test_deep_and_missing_pictures_are_named(tmp_path):
    Image.fromarray(np.full((8, 8), 3000, np.int32)).save(tmp_path / 'deep.tiff')
    with pytest.raises(UserError, match='deep.tiff: I pixels; convert the image to 8 bits'):
        pictures.read_picture(tmp_path / 'deep.tiff')
    with pytest.raises(UserError, match='gone.jpeg: No such file'):
        pictures.read_picture(tmp_path / 'gone.jpeg')


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('name', ['turned.jpg', 'turned.tiff', 'turned.png', 'turned.webp'])
def test_a_turned_picture_comes_upright(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {'lossless': True} if name.endswith('webp') else {}
    Image.fromarray(shades()).save(tmp_path / name, exif=exif, **options)
    wanted = np.array(ImageOps.exif_transpose(Image.open(tmp_path / name)).convert('RGB'))
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / name), wanted)


def test_transparent_pixels_are_white(tmp_path):
    opacity = np.zeros((20, 30), np.uint8)
    opacity[5:] = 255
    mixed = np.dstack([shades(), opacity])
    wanted = np.where(opacity[..., None] > 0, shades(), 255)
    for name in ('clear.png', 'clear.tiff'):
        Image.fromarray(mixed).save(tmp_path / name)
        np.testing.assert_array_equal(pictures.read_picture(tmp_path / name), wanted)
    half = np.dstack([np.full((4, 4, 3), 100, np.uint8), np.full((4, 4), 51, np.uint8)])
    Image.fromarray(half).save(tmp_path / 'half.png')
    assert (pictures.read_picture(tmp_path / 'half.png') == 224).all()  # 0.2 * 100 + 0.8 * 255


@pytest.mark.parametrize('name', ['deep.png', 'deep.tiff', 'deep.pgm'])
def test_sixteen_bits_become_eight(tmp_path, name):
    deep = np.array([[0, 128, 257, 25700], [65535, 65500, 32896, 1000]], np.uint16)
    cv2.imwrite(str(tmp_path / name), deep)
    found = pictures.read_picture(tmp_path / name)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], np.rint(deep / 257))


def test_print_colours_and_lab_become_rgb(tmp_path):
    colour = np.full((8, 8, 3), (200, 60, 30), np.uint8)
    Image.fromarray(colour).convert('CMYK').save(tmp_path / 'print.jpg', quality=95)
    assert np.abs(pictures.read_picture(tmp_path / 'print.jpg').astype(int) - colour).max() < 12
    profiles = ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB')
    to_lab = ImageCms.buildTransform(*profiles, 'RGB', 'LAB')
    ImageCms.applyTransform(Image.fromarray(colour), to_lab).save(tmp_path / 'lab.tiff')
    assert np.abs(pictures.read_picture(tmp_path / 'lab.tiff').astype(int) - colour).max() < 4


def test_the_content_counts_not_the_name(tmp_path):
    Image.fromarray(shades()).save(tmp_path / 'a.png')
    (tmp_path / 'a.png').rename(tmp_path / 'a.jpg')
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / 'a.jpg'), shades())
    Image.fromarray(shades()).save(tmp_path / 'b.bmp')
    (tmp_path / 'b.bmp').rename(tmp_path / 'b.png')
    np.testing.assert_array_equal(pictures.read_picture(tmp_path / 'b.png'), shades())


def test_damaged_notes_do_not_damage_a_picture(tmp_path):
    path = tmp_path / 'notes.jpg'
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.fromarray(shades()).save(path, exif=exif)
    upright = pictures.read_picture(path)
    data = path.read_bytes()
    at = data.index(b'Exif') + 6
    path.write_bytes(data[:at] + b'\xff' * 12 + data[at + 12 :])
    np.testing.assert_array_equal(pictures.read_picture(path), upright)


def test_real_pictures_are_alike_however_they_are_stored():
    """FER_JAX_REAL_PICTURES names a folder with one portrait in many forms, hopper*."""
    folder = Path(os.environ.get('FER_JAX_REAL_PICTURES', ''))
    found = sorted(folder.glob('hopper*'))
    if 'FER_JAX_REAL_PICTURES' not in os.environ or not found:
        pytest.skip('no pictures at hand: FER_JAX_REAL_PICTURES names their folder')
    wanted = pictures.read_picture(folder / 'hopper_gray.jpg')[..., 0].astype(int)
    for path in found:
        if path.suffix != '.gif':
            assert np.abs(pictures.read_picture(path).mean(2) - wanted).mean() < 8, path.name


def header_of(width, height):
    """A PNG and a BMP that state a size and hold nothing."""

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    png = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
    png += chunk(b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')
    bmp = b'BM' + struct.pack('<IHHI', 54, 0, 0, 54)
    return png, bmp + struct.pack('<IiiHHIIiiII', 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def test_a_picture_of_absurd_size_is_named_at_once(tmp_path):
    for suffix, content in zip(('.png', '.bmp'), header_of(60_000, 60_000), strict=True):
        path = tmp_path / f'huge{suffix}'
        path.write_bytes(content)
        with pytest.raises(UserError, match='its header states more pixels than any'):
            pictures.read_picture(path)
