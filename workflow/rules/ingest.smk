# Files of any kind in, MIDI at 960 ticks a quarter and a record out.


rule ingest:
    input:
        WORK / "shards" / "{shard}.jsonl",
    output:
        update(work_file("ingest")),
    log:
        work_file("logs/ingest", "log"),
    benchmark:
        work_file("benchmarks/ingest", "tsv")
    conda:
        "../envs/segue.yaml"
    threads: 1
    resources:
        mem_mb=1024,
        runtime=60,
    params:
        spec=spec_params("ingest"),
        shards=len(PLAN.shards),
        folder=str(INPUT),
    script:
        "../../scripts/ingest.py"
