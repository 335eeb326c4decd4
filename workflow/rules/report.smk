# The records of all pieces in one place, and the verdict of `strict`.


rule report:
    input:
        expand(WORK / "records" / "{shard}.jsonl", shard=PLAN.shards),
    output:
        records=OUTPUT / "records.jsonl",
        quarantine=OUTPUT / "quarantine.tsv",
        duplicates=OUTPUT / "duplicates.tsv",
    log:
        WORK / "logs" / "report.log",
    benchmark:
        WORK / "benchmarks" / "report.tsv"
    conda:
        "../envs/segue.yaml"
    threads: 1
    resources:
        mem_mb=1024,
        runtime=60,
    script:
        "../../scripts/report.py"


rule strict:
    input:
        OUTPUT / "quarantine.tsv",
    output:
        touch(WORK / "nothing_in_quarantine"),
    log:
        WORK / "logs" / "strict.log",
    benchmark:
        WORK / "benchmarks" / "strict.tsv"
    conda:
        "../envs/segue.yaml"
    threads: 1
    resources:
        mem_mb=64,
        runtime=5,
    script:
        "../../scripts/strict.py"
