# Chords found, written as markers and, where wanted, as a track.

if "harmonize" in CHAIN:

    rule harmonize:
        input:
            before("harmonize"),
        output:
            update(work_file("harmonize")),
        log:
            work_file("logs/harmonize", "log"),
        benchmark:
            work_file("benchmarks/harmonize", "tsv")
        conda:
            "../envs/segue.yaml"
        threads: 1
        resources:
            mem_mb=1024,
            runtime=60,
        params:
            spec=spec_params("harmonize"),
            shards=len(PLAN.shards),
        script:
            "../../scripts/harmonize.py"
