from pathlib import Path

from segue.deliver import deliver_shard
from segue.process import StageSpec
from segue.shard import Job

params = snakemake.params
with Job(Path(snakemake.log[0]), params.shards).run() as tally:
    deliver_shard(
        StageSpec(**params.spec) if params.spec else None,
        Path(snakemake.input.archive),
        Path(params.folder),
        Path(snakemake.output.manifest),
        Path(snakemake.output.records),
        tally,
        snakemake.threads,
    )
