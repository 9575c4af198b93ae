"""Say how good an assembly is, and draw the lengths of its contigs."""

from pathlib import Path

COMPLEMENT = str.maketrans("ACGT", "TGCA")
WIDTH, BAR = 600, 18


def read_fasta(path: str) -> list[str]:
    """Return the sequences, the longest first; Velvet writes bases that few reads have in small letters."""
    entries = Path(path).read_text().upper().split(">")[1:]
    return sorted(("".join(entry.splitlines()[1:]) for entry in entries), key=len, reverse=True)


def n50(lengths: list[int]) -> int:
    """Return the length of the contig that, with all longer ones, has half of all bases."""
    total = 0
    for length in lengths:
        total += length
        if 2 * total >= sum(lengths):
            return length
    return 0


(genome,) = read_fasta(snakemake.input.genome)
contigs = read_fasta(snakemake.input.contigs)
lengths = [len(contig) for contig in contigs]
right = [contig for contig in contigs if contig in genome or contig.translate(COMPLEMENT)[::-1] in genome]
Path(snakemake.output.table).write_text(
    f"contigs: {len(contigs)}\nlongest: {lengths[0]}\nN50: {n50(lengths)}\n"
    f"of the genome: {100 * sum(map(len, right)) / len(genome):.0f} %\nwrong: {len(contigs) - len(right)}\n"
)
bars = []
for number, length in enumerate(lengths):
    width, top = WIDTH * length / lengths[0], BAR * number
    bars.append(
        f'<rect y="{top + 4}" width="{width:.1f}" height="{BAR - 4}" fill="#4477aa"/>\n'
        f'<text x="{width + 6:.1f}" y="{top + 15}" font-size="12">{length}</text>\n'
    )
Path(snakemake.output.plot).write_text(
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH + 100}" height="{BAR * len(lengths) + 10}">\n'
    f"{''.join(bars)}</svg>\n"
)
