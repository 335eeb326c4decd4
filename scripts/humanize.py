from pathlib import Path

from segue.process import StageSpec
from segue.shard import Job, stage_shard

params = snakemake.params
with Job(Path(snakemake.log[0]), params.shards).run() as tally:
    stage_shard(StageSpec(**params.spec), Path(snakemake.input[0]), Path(snakemake.output[0]), tally)
