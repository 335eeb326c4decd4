"""The summary of a run: what it tells beside the counts."""

import json
from pathlib import Path

from segue.report import summary
from segue.shards import Plan, records_path


def test_a_track_setting_that_no_piece_uses_is_told(tmp_path):
    plan = Plan(tmp_path, ("0", "1"), frozenset("abc"), 0)
    for shard, pieces in (("0", {"a": [], "b": [2]}), ("1", {"c": []})):
        path = records_path(tmp_path, shard)
        path.parent.mkdir(exist_ok=True)
        records = [
            {"id": piece, "stages": {"humanize": {"overrides": {"bass": tracks, "bas": []}}}}
            for piece, tracks in pieces.items()
        ]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    text = summary(plan, Path("output"), ["humanize"], 0.0, 1.0)
    assert "3 pieces done" in text
    assert "humanize.tracks: bas is the name or role of no track in any piece" in text
    assert "humanize.tracks: bass " not in text
