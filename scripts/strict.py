import sys
from pathlib import Path

rows = Path(snakemake.input[0]).read_text(encoding="utf-8").splitlines()[1:]
verdict = f"strict is true and {len(rows)} piece(s) are in quarantine, see {snakemake.input[0]}"
Path(snakemake.log[0]).write_text(f"{verdict if rows else 'nothing in quarantine'}\n")
if rows:
    sys.exit(f"segue: {verdict}")
