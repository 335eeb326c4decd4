"""A small binding of FluidSynth's C interface (2.x) through ctypes: just what rendering needs.

The library is looked for in this order: the path that the settings name, the system's libfluidsynth, the one
that the pygame-ce wheel brings. The SoundFont: the path that the settings name, the system's folders, the one
that the pretty_midi wheel brings. Nothing of either is copied into Segue.

FluidSynth takes events at the borders of blocks of 64 frames (1.45 ms at 44.1 kHz) and is bit-exact from a
fresh synthesizer, which is why every piece gets its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

#: Frames between the moments at which FluidSynth takes events.
BLOCK_FRAMES = 64
#: Most synthesizer channels that FluidSynth offers.
MAX_CHANNELS = 256

_SYSTEM_NAMES = {
    "darwin": ("libfluidsynth.3.dylib", "libfluidsynth.dylib"),
    "win32": ("libfluidsynth-3.dll", "libfluidsynth-2.dll", "fluidsynth.dll"),
}
_LINUX_NAMES = ("libfluidsynth.so.3", "libfluidsynth.so.2")
_SYSTEM_SOUNDFONTS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
_PREFERRED_SOUNDFONTS = ("default.sf2", "default-GM.sf2", "FluidR3_GM.sf2", "TimGM6mb.sf2")
_LOG_LEVELS = 5
#: FluidSynth's channel type and the bank in which it looks for programs.
_DRUMS, _MELODIC = (1, 128), (0, 0)

_int, _pointer, _text, _double = ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double
_LogFunction = ctypes.CFUNCTYPE(None, _int, _text, _pointer)
_SIGNATURES = {
    "fluid_version": (None, [ctypes.POINTER(_int)] * 3),
    "fluid_set_log_function": (_pointer, [_int, _LogFunction, _pointer]),
    "new_fluid_settings": (_pointer, []),
    "delete_fluid_settings": (None, [_pointer]),
    "fluid_settings_setint": (_int, [_pointer, _text, _int]),
    "fluid_settings_setnum": (_int, [_pointer, _text, _double]),
    "fluid_settings_setstr": (_int, [_pointer, _text, _text]),
    "new_fluid_synth": (_pointer, [_pointer]),
    "delete_fluid_synth": (None, [_pointer]),
    "fluid_synth_sfload": (_int, [_pointer, _text, _int]),
    "fluid_synth_set_channel_type": (_int, [_pointer, _int, _int]),
    "fluid_synth_bank_select": (_int, [_pointer, _int, _int]),
    "fluid_synth_noteon": (_int, [_pointer, _int, _int, _int]),
    "fluid_synth_noteoff": (_int, [_pointer, _int, _int]),
    "fluid_synth_cc": (_int, [_pointer, _int, _int, _int]),
    "fluid_synth_program_change": (_int, [_pointer, _int, _int]),
    "fluid_synth_pitch_bend": (_int, [_pointer, _int, _int]),
    "fluid_synth_channel_pressure": (_int, [_pointer, _int, _int]),
    "fluid_synth_key_pressure": (_int, [_pointer, _int, _int, _int]),
    "fluid_synth_write_float": (_int, [_pointer, _int, _pointer, _int, _int, _pointer, _int, _int]),
}


class FluidSynthError(RuntimeError):
    """FluidSynth or its SoundFont cannot be used; the message says what to install or set."""


class Library:
    """A loaded libfluidsynth: its functions, its version and what it last complained about."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle = ctypes.CDLL(path)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._handle, name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        numbers = [_int() for _ in range(3)]
        self.fluid_version(*(ctypes.byref(number) for number in numbers))
        self.version = ".".join(str(number.value) for number in numbers)
        self.complaints: list[str] = []
        # FluidSynth would write to standard error; the callback must live as long as the library.
        self._log = _LogFunction(self._keep_complaint)
        for level in range(_LOG_LEVELS):
            self.fluid_set_log_function(level, self._log, None)

    def _keep_complaint(self, level: int, message: bytes, _: object) -> None:
        text = (message or b"").decode("utf-8", "replace")
        if level <= 1 and len(self.complaints) < 8:
            self.complaints.append(text)


def library_candidates() -> list[str]:
    """Names and paths at which libfluidsynth is looked for: the system's, then the pygame-ce wheel's."""
    names = list(_SYSTEM_NAMES.get(sys.platform, _LINUX_NAMES))
    spec = find_spec("pygame")  # Finds the folder without importing pygame.
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        for folder in (package.parent / "pygame_ce.libs", package / ".dylibs", package):
            names += sorted(str(path) for path in folder.glob("libfluidsynth*"))
    return names


@lru_cache(maxsize=4)
def load_library(path: str = "auto") -> Library:
    """The library at `path`, or the first that loads. Raises `FluidSynthError`."""
    candidates = library_candidates() if path == "auto" else [path]
    failures = []
    for candidate in candidates:
        try:
            library = Library(candidate)
        except (OSError, AttributeError) as error:
            failures.append(str(error))
            continue
        if int(library.version.split(".")[0]) >= 2:
            return library
        failures.append(f"{candidate} is version {library.version}")
    if path == "auto":
        raise FluidSynthError(
            "no usable FluidSynth 2 library is installed; install the Python package pygame-ce, which brings "
            "one, or the system package libfluidsynth3, or set render.library to its path"
        )
    raise FluidSynthError(f"render.library {path} cannot be loaded ({'; '.join(failures)})")


def find_soundfont(path: str = "auto") -> Path:
    """The SoundFont at `path`, or the first found. Raises `FluidSynthError`."""
    if path != "auto":
        chosen = Path(path).expanduser()
        if not chosen.is_file():
            raise FluidSynthError(
                f"render.soundfont {path} is not a file; name an .sf2 or .sf3 file, or auto"
            )
        return chosen
    for folder in map(Path, _SYSTEM_SOUNDFONTS):
        found = {p.name: p for p in sorted(folder.glob("*.sf[23]")) if p.is_file()}
        for name in (*_PREFERRED_SOUNDFONTS, *found):
            if name in found:
                return found[name]
    spec = find_spec("pretty_midi")
    if spec is not None and spec.origin is not None:
        for bundled in sorted(Path(spec.origin).parent.glob("*.sf2")):
            return bundled
    raise FluidSynthError(
        "no SoundFont was found; install the Python package pretty_midi, which brings one, or set "
        "render.soundfont to the path of an .sf2 file"
    )


def file_sha256(path: Path) -> str:
    """SHA-256, hex, of a file; remembered until its size or time changes."""
    state = path.stat()
    return _file_sha256(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _file_sha256(path: str, size: int, time_ns: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Synthesizer:
    """One fresh synthesizer with one SoundFont; `open_synthesizer` makes and frees it."""

    def __init__(self, library: Library, synth: int) -> None:
        self._library, self._synth = library, synth
        #: Called with (channel, data1, data2); the key is the MIDI status nibble.
        self._two = {
            0x80: lambda c, key, _: library.fluid_synth_noteoff(synth, c, key),
            0x90: lambda c, key, velocity: library.fluid_synth_noteon(synth, c, key, velocity),
            0xA0: lambda c, key, value: library.fluid_synth_key_pressure(synth, c, key, value),
            0xB0: lambda c, number, value: library.fluid_synth_cc(synth, c, number, value),
            0xC0: lambda c, program, _: library.fluid_synth_program_change(synth, c, program),
            0xD0: lambda c, value, _: library.fluid_synth_channel_pressure(synth, c, value),
            0xE0: lambda c, low, high: library.fluid_synth_pitch_bend(synth, c, low | high << 7),
        }

    def set_drums(self, channel: int, is_drum: bool) -> None:
        """Make a channel a percussion channel, or a melodic one; the type alone does not change the bank."""
        kind, bank = _DRUMS if is_drum else _MELODIC
        self._library.fluid_synth_set_channel_type(self._synth, channel, kind)
        self._library.fluid_synth_bank_select(self._synth, channel, bank)

    def send(self, status: int, channel: int, data1: int, data2: int) -> bool:
        """Send one channel message; False when FluidSynth refuses it (a note that nothing can play)."""
        return self._two[status](channel, data1, data2) == 0

    def write(self, audio: np.ndarray, start: int, stop: int) -> None:
        """Render frames `start` to `stop` into `audio`: float32, shape (frames, 2), contiguous."""
        at = audio.ctypes.data + start * 8
        self._library.fluid_synth_write_float(self._synth, stop - start, at, 0, 2, at, 1, 2)


@contextmanager
def open_synthesizer(
    library: Library, soundfont: Path, sample_rate: int, channels: int, reverb: bool, chorus: bool
) -> Iterator[Synthesizer]:
    """A fresh synthesizer, freed at the end. `channels` is rounded up to a multiple of 16."""
    library.complaints.clear()
    settings = library.new_fluid_settings()
    integers = {
        "synth.midi-channels": -(-channels // 16) * 16,
        "synth.cpu-cores": 1,
        "synth.threadsafe-api": 0,
        "synth.lock-memory": 0,
        "synth.polyphony": 256,
        "synth.reverb.active": int(reverb),
        "synth.chorus.active": int(chorus),
    }
    for name, value in integers.items():
        library.fluid_settings_setint(settings, name.encode(), value)
    library.fluid_settings_setnum(settings, b"synth.sample-rate", float(sample_rate))
    library.fluid_settings_setstr(settings, b"synth.midi-bank-select", b"gs")
    synth = library.new_fluid_synth(settings)
    try:
        if not synth:
            raise FluidSynthError(f"FluidSynth {library.version} could not start {library.complaints}")
        if library.fluid_synth_sfload(synth, str(soundfont).encode(), 1) < 0:
            raise FluidSynthError(
                f"FluidSynth {library.version} cannot read the SoundFont {soundfont}; "
                f"set render.soundfont to another .sf2 file"
            )
        yield Synthesizer(library, synth)
    finally:
        if synth:
            library.delete_fluid_synth(synth)
        library.delete_fluid_settings(settings)
