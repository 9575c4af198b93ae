"""Make up a genome with a repeat, always the same one, and read it in pieces."""

import random
from pathlib import Path

COMPLEMENT = str.maketrans("ACGT", "TGCA")
REPEAT, TIMES = 300, 3

chance = random.Random(1)  # noqa: S311 - no secret
length, size = snakemake.params.length, snakemake.params.read_length
repeat = "".join(chance.choices("ACGT", k=REPEAT))
part = (length - REPEAT * TIMES) // (TIMES + 1)
genome = repeat.join("".join(chance.choices("ACGT", k=part)) for _ in range(TIMES + 1))
Path(snakemake.output.genome).write_text(f">genome\n{genome}\n")
reads = []
for number in range(len(genome) * snakemake.params.coverage // size):
    start = chance.randrange(len(genome) - size + 1)
    read = genome[start : start + size]
    reads.append(f">read{number}\n{read if chance.random() < 0.5 else read.translate(COMPLEMENT)[::-1]}\n")
Path(snakemake.output.reads).write_text("".join(reads))
