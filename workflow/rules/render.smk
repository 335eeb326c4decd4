# The finished MIDI, its record and, unless audio is off, the sound of every piece.


rule render:
    input:
        archive=before("render"),
        restore=WORK / "restore" / "{shard}.txt",
    output:
        manifest=update(work_file("render", "jsonl")),
        records=update(work_file("records", "jsonl")),
    log:
        work_file("logs/render", "log"),
    benchmark:
        work_file("benchmarks/render", "tsv")
    conda:
        "../envs/segue.yaml"
    # Synthesis is the one heavy stage: a job makes several pieces at once.
    threads: 4
    resources:
        mem_mb=2048,
        runtime=240,
    params:
        spec=spec_params("render"),
        shards=len(PLAN.shards),
        folder=str(OUTPUT),
    script:
        "../../scripts/render.py"
