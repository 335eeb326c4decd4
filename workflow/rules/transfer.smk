# Accompaniment and drums in another style.

if "transfer" in CHAIN:

    rule transfer:
        input:
            before("transfer"),
        output:
            update(work_file("transfer")),
        log:
            work_file("logs/transfer", "log"),
        benchmark:
            work_file("benchmarks/transfer", "tsv")
        conda:
            "../envs/segue.yaml"
        threads: 1
        resources:
            mem_mb=1024,
            runtime=60,
        params:
            spec=spec_params("transfer"),
            shards=len(PLAN.shards),
        script:
            "../../scripts/transfer.py"
