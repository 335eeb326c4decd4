"""`segue styles` and `segue style`: what styles there are, and making one of a folder of MIDI files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from segue.archive import write_atomically
from segue.config import check_stage
from segue.process import stage_spec
from segue.runtime import Model, model_folder, read_card
from segue.stage import InputFile, StageError
from segue.transfer.presets import FOLDER, SUFFIXES, Sound, make_preset, preset_to_yaml, presets_in
from segue.transfer.reference import Example, read_example
from segue.transfer.styles import listing
from segue.transfer.target import (
    drum_profile,
    encoder_mark,
    example_profiles,
    example_vector,
    notes_a_unit,
)

#: Files of a folder that are not spoken of when they are left out.
_HIDDEN = "."


def print_styles() -> int:
    """Print the named styles and the presets of the folder `styles/`."""
    folder = Path(FOLDER)
    drums = read_card(model_folder(check_stage("transfer", {})["models"]["drums"]))["styles"]
    print(listing(drums, *(presets_in(folder) if folder.is_dir() else ({}, {}))))
    return 0


def save_style(folder: Path, output: Path, hears: str | None) -> int:
    """Save the style of the MIDI files in `folder` as a preset; each file that is left out is named.

    Returns the exit status: 0 also where some files were left out, 1 where none could be used, 2 for wrong
    use. Raises `ConfigError` and `ModelError`.
    """
    if output.suffix.lower() not in SUFFIXES:
        print(f"segue style: a style is saved as .yaml, and {output.name} is another kind", file=sys.stderr)
        return 2
    if not folder.is_dir():
        print(f"segue style: there is no folder {folder}", file=sys.stderr)
        return 2
    pieces = list(_pieces(folder))
    encoder = stage_spec("transfer", check_stage("transfer", {}), 0).load_models()["style"]
    line = hears or f"as the files in {folder.name} are played"
    preset, left_out = make_preset(pieces, partial(_sound, encoder), output, line, encoder_mark(encoder))
    for path, reason in left_out.items():
        print(f"segue style: {path}: left out: {reason}", file=sys.stderr)
    if preset is None:
        what = "none of its files can be used" if pieces else "it holds no files"
        print(f"segue style: {folder}: {what}, so there is no style to save", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, preset_to_yaml(preset).encode())
    players = ", ".join(player["name"] for player in preset["players"])
    meters = ", ".join(preset["meters"])
    print(
        f"{preset['name']}: {len(preset['files'])} files, played by {players}, in {meters}; saved in {output}"
    )
    return 0


def _sound(encoder: Model, example: Example) -> Sound:
    vector = example_vector(encoder, example)
    return Sound(vector, example_profiles(example), notes_a_unit(example), drum_profile(example))


def _pieces(folder: Path) -> Iterator[tuple[str, Callable[[], Example]]]:
    """The files of a folder and its folders in their order, and how each is read."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder)
        if not any(part.startswith(_HIDDEN) for part in name.parts):
            yield str(name), partial(_read, path)


def _read(path: Path) -> Example:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StageError(f"it cannot be read ({error.strerror})") from error
    return read_example(InputFile(path.name, data))
