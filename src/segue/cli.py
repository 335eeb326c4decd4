"""`segue`: one stage on files or folders without Snakemake, and a look at models and settings.

Exit status: 0 done, 1 some pieces failed (each is named on standard error with the reason), 2 wrong use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from segue import __version__
from segue.archive import Member, extra_files, to_json, write_atomically
from segue.config import (
    STAGES,
    ConfigError,
    check_stage,
    default_config_text,
    parse_assignments,
    stage_schema,
)
from segue.deliver import render_piece
from segue.ingest import SUFFIXES, Reader
from segue.midi import MidiError, read_midi
from segue.process import StageSpec, ingest_key, run_ingested, run_piece, stage_spec
from segue.runtime import ModelError, load_model
from segue.score import Score
from segue.shards import scan
from segue.stage import InputFile, Record, StageError

_T = TypeVar("_T")

_PURPOSE = {
    "ingest": "read any music file, find key, tracks and roles",
    "humanize": "give drums and other instruments a human groove",
    "complete": "continue a melody or fill its gaps",
    "harmonize": "find or invent the chords",
    "transfer": "play accompaniment and drums in another style",
    "render": "make audio",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
    except ConfigError as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    if options.command == "models":
        return _print_models()
    if options.command == "config":
        print(default_config_text(), end="")
        return 0
    if options.command == "evaluate":
        return _EVALUATE[options.task](options)
    if options.command == "groove":
        return _extract_groove(options)
    try:
        if options.command in ("style", "styles"):
            return _styles(options)
        given = parse_assignments(options.set)
        settings = check_stage(options.command, given)
        reading = check_stage("ingest", {})
        spec = stage_spec(options.command, settings, options.seed)
        dict(spec.load_models())  # Broken weights are told before the first piece is touched.
        # A piece that has no record yet is read as `segue ingest` reads it with its default settings.
        reader_spec = spec if options.command == "ingest" else stage_spec("ingest", reading, options.seed)
    except (ConfigError, ModelError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    missing = [name for name in options.inputs if not Path(name).exists()]
    if missing:
        print(f"segue: there is no {', '.join(missing)}", file=sys.stderr)
        return 2
    return _run(spec, reader_spec, [Path(name) for name in options.inputs], Path(options.output))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="segue", description="An offline batch MIDI pipeline.")
    parser.add_argument("--version", action="version", version=f"segue {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for stage in STAGES:
        command = commands.add_parser(
            stage,
            help=_PURPOSE[stage],
            description=f"{_PURPOSE[stage].capitalize()}.",
            epilog=_settings_help(stage),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("inputs", nargs="+", metavar="INPUT", help="music files or folders of them")
        command.add_argument(
            "-o", "--output", required=True, help="folder for the results; it mirrors the input"
        )
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
        command.add_argument("--seed", type=int, default=0, help="chooses among equally good results")
    commands.add_parser("models", help="list the models with their state, checked now")
    commands.add_parser("config", help="print the default config.yaml with every setting explained")
    commands.add_parser("styles", help="list the styles of transfer, and those of your own in styles/")
    style = commands.add_parser(
        "style",
        help="make a style of your own from a folder of MIDI files",
        description="Save what accompaniments in a folder have in common, for transfer's style and blend.",
    )
    style.add_argument("folder", metavar="DIR", help="MIDI files; other files are left out")
    style.add_argument("-o", "--output", required=True, metavar="FILE", help="styles/NAME.yaml")
    style.add_argument("--hears", metavar="TEXT", help="a line on what is heard, for segue styles")
    groove = commands.add_parser("groove", help="take the feel out of a performance")
    extract = groove.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "extract",
        help="save a performance's feel",
        description="Save what a performance does at each place of its bar, for humanize's groove and blend.",
    )
    extract.add_argument("file", metavar="FILE", help="MIDI played to a click, or a recording (WAV, FLAC)")
    extract.add_argument("-o", "--output", required=True, metavar="FEEL", help="the file to write (.json)")
    sound = extract.add_argument_group("recordings", "what is not given is found from the sound")
    sound.add_argument("--bpm", type=float, help="its tempo in quarters a minute")
    sound.add_argument("--first-downbeat", type=float, metavar="S", help="the second where a bar begins")
    sound.add_argument("--meter", help="its meter, as 4/4 (the default) or 6/8")
    evaluate = commands.add_parser("evaluate", help="measure a stage on your own files")
    evaluate.add_argument(
        "task",
        choices=list(_EVALUATE),
        help="what to measure: humanize's drums, complete's melodies, harmonize's chords, "
        "or transfer's styles",
    )
    evaluate.add_argument(
        "folder",
        metavar="DIR",
        help="drum performances (MIDI); pieces with melodies; pieces with chord symbols, or their chords "
        "in a file beside them; pieces to play in another style",
    )
    evaluate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    evaluate.add_argument("--seed", type=int, default=0, help="draws the variation, or the places")
    evaluate.add_argument("--split", help="groove: only the beats of this split in DIR's info.csv")
    evaluate.add_argument("--fills", action="store_true", help="with --split: its fills instead")
    evaluate.add_argument(
        "--by", choices=["meter"], help="groove: any meter, with a row for each and for triplets"
    )
    evaluate.add_argument(
        "--target", metavar="NAME", help="style: a style or drum style by name, or a file that has one"
    )
    evaluate.add_argument(
        "--examples",
        metavar="DIR2",
        help="style: music in the target style, for what needs some to compare with",
    )
    return parser


def _settings_help(stage: str) -> str:
    lines = ["settings (--set KEY=VALUE), with their defaults:"]
    for key, part in stage_schema(stage)["properties"].items():
        text = " ".join(str(part.get("description", "")).split())
        lines.append(f"  {key}={to_json(part.get('default', {}))}  {text}")
    return "\n".join(lines).replace("%", "%%")


def _sources(inputs: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Pairs of path below the given folder (a file: its own name) and place."""
    for given in inputs:
        if given.is_dir():
            for source in scan(given)[0]:
                yield source.path, given / source.path
        else:
            yield given.name, given


def _run(spec: StageSpec, reader_spec: StageSpec, inputs: Sequence[Path], output: Path) -> int:
    failed = done = 0
    with Reader(reader_spec.settings) as reader:
        for name, path in _sources(inputs):
            try:
                member = _apply(spec, reader_spec, reader, name, path)
                quarantine = member.record.get("quarantine")
                if quarantine:
                    raise StageError(quarantine["reason"])
                audio, suffix = None, ""
                if spec.name == "render":
                    audio, suffix, record = render_piece(spec, member)
                    if audio is None and "quarantine" in record:
                        raise StageError(record["quarantine"]["reason"])
                    member = replace(member, record=record)
                _write(output, member, audio, suffix)
                if reasons := _reasons_for_nothing(member.record, spec.name):
                    print(f"segue {spec.name}: {name}: unchanged: {'; '.join(reasons)}")
                done += 1
            except (StageError, OSError) as error:
                print(f"segue {spec.name}: {name}: {error}", file=sys.stderr)
                failed += 1
    print(f"segue {spec.name}: {done} done, {failed} failed; results in {output}{os.sep}")
    return 1 if failed else 0


def _reasons_for_nothing(record: Mapping[str, Any], stage: str) -> list[str]:
    """Why the stage changed nothing, in the words of the record; none where it changed something."""
    report = record.get("stages", {}).get(stage, {})
    if any(report.get("changed", {"notes": 1}).values()):
        return []
    return list(dict.fromkeys(entry["reason"] for entry in report.get("skipped", []) if "reason" in entry))


def _apply(spec: StageSpec, reader_spec: StageSpec, reader: Reader, name: str, path: Path) -> Member:
    """The piece at `path` after the stage."""
    data = path.read_bytes()
    if spec.name == "ingest":
        return _ingest(reader_spec, reader, name, data)
    member = _with_record(path, data) or _ingest(reader_spec, reader, name, data)
    return member if spec.name == "render" else run_piece(spec, member)


def _ingest(spec: StageSpec, reader: Reader, name: str, data: bytes) -> Member:
    if Path(name).suffix.lower() not in SUFFIXES:
        raise StageError(f"the file has none of the known extensions ({' '.join(SUFFIXES)})")
    return run_ingested(spec, reader.read(data, name), ingest_key(spec, name, data))


def _with_record(path: Path, data: bytes) -> Member | None:
    """The piece with the record that an earlier stage wrote beside it, if it belongs to these very bytes."""
    beside = path.with_name(f"{path.stem}.json")
    if not beside.is_file():
        return None
    try:
        record = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError:
        return None
    belongs = isinstance(record, dict) and record.get("midi_sha256") == hashlib.sha256(data).hexdigest()
    return Member(data, record) if belongs else None


def _write(output: Path, member: Member, audio: bytes | None, suffix: str) -> None:
    piece = member.record["id"]
    write_atomically(output / f"{piece}.mid", member.midi or b"")
    write_atomically(output / f"{piece}.json", (to_json(member.record) + "\n").encode())
    if audio is not None:
        write_atomically(output / f"{piece}{suffix}", audio)
    for name, data in extra_files(piece, member).items():
        write_atomically(output / name, data)


def _evaluate_groove(options: argparse.Namespace) -> int:
    """Print the groove table of a folder; files that cannot be measured are named."""
    from segue.humanize.evaluate import groove_table, performances, read_take, table_text
    from segue.humanize.evaluate_meters import meter_rows, meter_text, read_any_take

    if options.fills and not options.split:
        print("segue: --fills needs --split: DIR's info.csv tells which files are fills", file=sys.stderr)
        return 2
    try:
        spec = stage_spec("humanize", check_stage("humanize", parse_assignments(options.set)), options.seed)
        models, settings = spec.load_models(), spec.load_settings()
        paths = performances(Path(options.folder), options.split, "fill" if options.fills else "beat")
    except (ConfigError, ModelError, StageError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    takes = []
    for path in paths:
        try:
            takes.append(read_any_take(path) if options.by else read_take(path))
        except (StageError, OSError) as error:
            print(f"segue evaluate: {path}: left out: {error}", file=sys.stderr)
    if not takes:
        print("segue evaluate: none of the files can be measured", file=sys.stderr)
        return 1
    if options.by:
        print(meter_text(meter_rows(takes, settings, models, options.seed)))
    else:
        print(table_text(groove_table(takes, settings, models, options.seed)))
    return 0


def _evaluate_melody(options: argparse.Namespace) -> int:
    """Print the melody table of a folder; pieces that cannot be measured are named."""
    from segue.complete.evaluate_folder import REFERENCE_MODEL, melody_piece, melody_table, table_text
    from segue.complete.judge import ModelJudge

    try:
        folder = _folder_alone(options)
        settings = check_stage("complete", parse_assignments(options.set))
        spec = stage_spec("complete", settings, options.seed)
        model = spec.load_models()["melody"]
        reference = load_model(REFERENCE_MODEL, settings["backend"])
    except (ConfigError, ModelError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    pieces = _measured(
        folder, options.seed, lambda name, path, score, record: melody_piece(name, score, record, settings)
    )
    if not pieces:
        return 1
    judges = ModelJudge(model), ModelJudge(reference)
    print(table_text(melody_table(pieces, *judges, settings["style"] != "auto", options.seed)))
    return 0


def _evaluate_harmony(options: argparse.Namespace) -> int:
    """Print the harmony table of a folder; pieces that cannot be measured are named."""
    from segue.harmonize.evaluate_folder import harmony_piece
    from segue.harmonize.evaluate_table import harmony_table, table_text

    try:
        folder = _folder_alone(options)
        settings = check_stage("harmonize", parse_assignments(options.set))
        models = stage_spec("harmonize", settings, options.seed).load_models()
        dict(models)  # Loads them, so that a missing one is named before any piece is read.
    except (ConfigError, ModelError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    pieces = _measured(
        folder,
        options.seed,
        lambda name, path, score, record: harmony_piece(
            name, path, score, record, settings, models, options.seed
        ),
    )
    if not pieces:
        return 1
    print(table_text(harmony_table(pieces)))
    return 0


def _evaluate_style(options: argparse.Namespace) -> int:
    """Print the table of a folder's pieces in a style; pieces that cannot be measured are named."""
    from segue.transfer.evaluate_folder import (
        Listener,
        drum_example,
        drum_piece,
        pitched_example,
        pitched_piece,
        style_histograms,
    )
    from segue.transfer.evaluate_table import style_table, table_text

    try:
        folder = _folder_alone(options)
        key, target = _style_setting(options.target)
        settings = check_stage("transfer", {**parse_assignments(options.set), key: target})
        spec = stage_spec("transfer", settings, options.seed)
        models, settings = spec.load_models(), spec.load_settings()
        hearing = check_stage("harmonize", {})
        listener = Listener(
            hearing, stage_spec("harmonize", hearing, options.seed).load_models(), options.seed
        )
        wanted = style_histograms(settings, models)
        if wanted is None and not options.examples:
            raise ConfigError(
                f"{target} is played by rules and has no data to be compared with; "
                "give music in the style with --examples"
            )
        examples_folder = _folder(options.examples) if options.examples else None
    except (ConfigError, ModelError, StageError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    drums = key == "drum_style"
    examples = []
    if examples_folder:
        examples = _measured(
            examples_folder,
            options.seed,
            lambda name, path, score, record: (
                drum_example(score, record) if drums else pitched_example(score, record, listener)
            ),
        )
    pieces = _measured(
        folder,
        options.seed,
        lambda name, path, score, record: (
            drum_piece(name, score, record, settings, models, options.seed)
            if drums
            else pitched_piece(name, score, record, settings, models, listener, options.seed)
        ),
    )
    if not pieces or (examples_folder and not examples):
        return 1
    print(table_text(style_table(pieces, wanted, examples, target, drums, options.seed)))
    return 0


def _style_setting(target: str | None) -> tuple[str, str]:
    """The setting of transfer that `--target` speaks of, and its value."""
    from segue.transfer.reference import MIDI_SUFFIXES
    from segue.transfer.styles import DRUM_STYLES, STYLES

    if target is None or target == "none":
        raise ConfigError(f"--target names the style; known are {', '.join([*STYLES, *DRUM_STYLES])}")
    if target.lower().endswith(MIDI_SUFFIXES):
        return "reference", target
    return ("drum_style" if target in DRUM_STYLES and target not in STYLES else "style"), target


#: What `segue evaluate` measures, and how.
_EVALUATE = {
    "groove": _evaluate_groove,
    "melody": _evaluate_melody,
    "harmony": _evaluate_harmony,
    "style": _evaluate_style,
}


def _folder_alone(options: argparse.Namespace) -> Path:
    """DIR of an evaluation that knows no drums' options."""
    if options.split or options.fills or options.by:
        raise ConfigError(
            f"--split, --fills and --by tell of drums; {options.task} takes DIR, --set and --seed"
        )
    if options.task != "style" and (options.target or options.examples):
        raise ConfigError("--target and --examples tell of styles: segue evaluate style DIR --target NAME")
    return _folder(options.folder)


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    return folder


def _measured(folder: Path, seed: int, measure: Callable[[str, Path, Score, Record], _T]) -> list[_T]:
    """What `measure` makes of each piece of the folder; those that it cannot measure are named."""
    reading = stage_spec("ingest", check_stage("ingest", {}), seed)
    pieces = []
    with Reader(reading.settings) as reader:
        for name, path in _sources([folder]):
            try:
                data = path.read_bytes()
                member = _with_record(path, data) or _ingest(reading, reader, name, data)
                if quarantine := member.record.get("quarantine"):
                    raise StageError(quarantine["reason"])
                score = read_midi(member.midi or b"")[0]
                pieces.append(measure(name, path, score, member.record))
            except (StageError, MidiError, OSError) as error:
                print(f"segue evaluate: {path}: left out: {error}", file=sys.stderr)
    if not pieces:
        print("segue evaluate: none of the files can be measured", file=sys.stderr)
    return pieces


def _extract_groove(options: argparse.Namespace) -> int:
    """Save the feel of a performance and tell what it is."""
    from segue.humanize.feel.file import feel_summary, feel_to_json, read_feel

    given = {"bpm": options.bpm, "first_downbeat_s": options.first_downbeat, "meter": options.meter}
    path, output = Path(options.file), Path(options.output)
    try:
        if output.suffix.lower() != ".json":
            raise StageError(f"a feel is saved as .json, and {output.name} is another kind of file")
        known = {name: value for name, value in given.items() if value is not None}
        feel = read_feel(InputFile(str(path), path.read_bytes()), **known)
        write_atomically(output, feel_to_json(feel).encode())
    except (StageError, OSError) as error:
        print(f"segue groove extract: {path}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 2
    print(f"{feel_summary(feel)}; saved in {output}")
    if feel.source == "audio":
        unknown = {"bpm": ("its tempo", "--bpm"), "first_downbeat_s": ("its downbeat", "--first-downbeat")}
        heard = [words for name, words in unknown.items() if name not in known]
        if heard:
            what, told_by = (" and ".join(words) for words in zip(*heard, strict=True))
            print(f"heard in the recording: {what}; set {told_by} where it is wrong")
    return 0


def _styles(options: argparse.Namespace) -> int:
    """List the styles, or make one."""
    from segue.transfer.style_command import print_styles, save_style

    if options.command == "styles":
        return print_styles()
    return save_style(Path(options.folder), Path(options.output), options.hears)


def _print_models() -> int:
    from segue.models import all_states

    states = all_states()
    for state in states:
        mark = "ok " if state.ok else "BAD"
        print(
            f"{mark} {state.name} ({state.backend}): {state.parameters:,} parameters, "
            f"{state.size_bytes / 1024:.0f} KiB, sha256 {state.sha256[:12]}, runs on {state.provider}\n"
            f"      reference {state.reference}; probe {state.probe}; {state.headline}"
        )
    if not states:
        print("there are no models", file=sys.stderr)
    return 0 if states and all(state.ok for state in states) else 1


if __name__ == "__main__":
    sys.exit(main())
