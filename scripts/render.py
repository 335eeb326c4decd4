from pathlib import Path

from segue.process import StageSpec
from segue.shard import Job, deliver_shard

params = snakemake.params
with Job(Path(snakemake.log[0]), params.shards).run() as tally:
    deliver_shard(
        StageSpec(**params.spec) if params.spec else None,
        Path(snakemake.input.archive),
        Path(params.folder),
        Path(snakemake.output.manifest),
        Path(snakemake.output.records),
        tally,
    )
