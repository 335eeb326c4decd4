"""From float audio to the bytes of a WAV, FLAC or OGG file; equal audio and seed, equal bytes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

#: Frames that are converted and written at once.
_CHUNK = 1 << 16
_FORMATS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG"}
#: libsndfile's measure for Vorbis, 0 (largest) to 1 (smallest): about 190 kbit a second.
_VORBIS_LEVEL = 0.4

_PAGE = struct.Struct("<4sBBqIIIB")
_SERIAL_AT, _CHECKSUM_AT = 14, 22
_REVERSED_BITS = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))


def encode(audio: np.ndarray, sample_rate: int, kind: str, bit_depth: int, dither_seed: int | None) -> bytes:
    """The audio, float32 (frames, 2) within -1..1, as a file of `kind` "wav", "flac" or "ogg".

    `bit_depth` is 16 or 24 (OGG stores no samples and has none). With a seed, rounding to 16 bit is preceded
    by triangular noise of one step either way, so that soft endings fade into noise, not into distortion.
    """
    import soundfile

    stream = io.BytesIO()
    subtype = "VORBIS" if kind == "ogg" else f"PCM_{bit_depth}"
    options = {"compression_level": _VORBIS_LEVEL} if kind == "ogg" else {}
    dither = np.random.default_rng(dither_seed) if dither_seed is not None and bit_depth == 16 else None
    with soundfile.SoundFile(stream, "w", sample_rate, 2, subtype, format=_FORMATS[kind], **options) as file:
        for start in range(0, len(audio), _CHUNK):
            part = audio[start : start + _CHUNK]
            file.write(part if kind == "ogg" else quantise(part, bit_depth, dither))
    return set_ogg_serial(stream.getvalue()) if kind == "ogg" else stream.getvalue()


def quantise(audio: np.ndarray, bit_depth: int, dither: np.random.Generator | None) -> np.ndarray:
    """Whole samples: int16, or int32 whose upper 24 bits are used; same shape as `audio`."""
    scaled = audio * np.float32(1 << (bit_depth - 1))
    if dither is not None:
        scaled += dither.random(audio.shape, np.float32)
        scaled -= dither.random(audio.shape, np.float32)
    limit = (1 << (bit_depth - 1)) - 1
    whole = np.clip(np.rint(scaled), -limit - 1, limit)
    return whole.astype(np.int16) if bit_depth == 16 else whole.astype(np.int32) << 8


def set_ogg_serial(data: bytes, serial: int = 1) -> bytes:
    """An Ogg file with a fixed stream serial number, for which encoders draw a random one.

    Each page's checksum is renewed (RFC 3533): a CRC with polynomial 0x04c11db7, most significant bit first,
    which is zlib's CRC of the bit-reversed bytes, bit-reversed.
    """
    pages = bytearray(data)
    at = 0
    while at < len(pages):
        magic, *_, segments = _PAGE.unpack_from(pages, at)
        if magic != b"OggS":
            raise ValueError("an Ogg page does not begin where the one before it ends")
        body = at + _PAGE.size
        stop = body + segments + sum(pages[body : body + segments])
        struct.pack_into("<I", pages, at + _SERIAL_AT, serial)
        struct.pack_into("<I", pages, at + _CHECKSUM_AT, 0)
        crc = zlib.crc32(pages[at:stop].translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
        struct.pack_into("<I", pages, at + _CHECKSUM_AT, int(f"{crc:032b}"[::-1], 2))
        at = stop
    return bytes(pages)
