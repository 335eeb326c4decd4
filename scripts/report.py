from pathlib import Path

from segue.report import write_reports

out = snakemake.output
write_reports(
    [Path(name) for name in snakemake.input],
    Path(out.records),
    Path(out.quarantine),
    Path(out.duplicates),
)
Path(snakemake.log[0]).write_text("done\n")
