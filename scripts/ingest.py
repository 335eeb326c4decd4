from pathlib import Path

from segue.process import StageSpec
from segue.shard import Job, ingest_shard

params = snakemake.params
with Job(Path(snakemake.log[0]), params.shards).run() as tally:
    ingest_shard(
        StageSpec(**params.spec),
        Path(params.folder),
        Path(snakemake.input[0]),
        Path(snakemake.output[0]),
        tally,
    )
