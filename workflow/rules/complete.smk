# The melody continued, its gaps filled.

if "complete" in CHAIN:

    rule complete:
        input:
            before("complete"),
        output:
            update(work_file("complete")),
        log:
            work_file("logs/complete", "log"),
        benchmark:
            work_file("benchmarks/complete", "tsv")
        conda:
            "../envs/segue.yaml"
        threads: 1
        resources:
            mem_mb=1024,
            runtime=60,
        params:
            spec=spec_params("complete"),
            shards=len(PLAN.shards),
        script:
            "../../scripts/complete.py"
