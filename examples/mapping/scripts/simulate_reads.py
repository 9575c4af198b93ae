"""Make up a genome, always the same one, and read it in pieces, as it is without one of its parts."""

import random
from pathlib import Path

COMPLEMENT = str.maketrans("ACGT", "TGCA")
WRONG = 0.01

chance = random.Random(2)  # noqa: S311 - no secret
size = snakemake.params.read_length
start, end = snakemake.params.deleted
genome = "".join(chance.choices("ACGT", k=snakemake.params.length))
Path(snakemake.output.genome).write_text(f">genome\n{genome}\n")
sample = genome[:start] + genome[end:]
reads = []
for number in range(len(sample) * snakemake.params.coverage // size):
    at = chance.randrange(len(sample) - size + 1)
    read = sample[at : at + size]
    read = read if chance.random() < 0.5 else read.translate(COMPLEMENT)[::-1]
    read = "".join(chance.choice("ACGT") if chance.random() < WRONG else base for base in read)
    reads.append(f"@read{number}\n{read}\n+\n{'I' * size}\n")
Path(snakemake.output.reads).write_text("".join(reads))
