# Human timing and dynamics.

if "humanize" in CHAIN:

    rule humanize:
        input:
            before("humanize"),
        output:
            update(work_file("humanize")),
        log:
            work_file("logs/humanize", "log"),
        benchmark:
            work_file("benchmarks/humanize", "tsv")
        conda:
            "../envs/segue.yaml"
        threads: 1
        resources:
            mem_mb=1024,
            runtime=60,
        params:
            spec=spec_params("humanize"),
            shards=len(PLAN.shards),
        script:
            "../../scripts/humanize.py"
