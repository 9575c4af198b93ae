"""Draw how many reads lie over each part of the genome."""

from pathlib import Path

WIDTH, HEIGHT = 700, 150

depths = [int(line.split("\t")[2]) for line in Path(snakemake.input[0]).read_text().splitlines()]
step = max(1, len(depths) // WIDTH)
means = [sum(depths[at : at + step]) / len(depths[at : at + step]) for at in range(0, len(depths), step)]
scale = HEIGHT / max(means)
points = " ".join(f"{x},{HEIGHT - mean * scale:.1f}" for x, mean in enumerate(means))
Path(snakemake.output[0]).write_text(
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(means)}" height="{HEIGHT + 20}">\n'
    f'<polygon points="0,{HEIGHT} {points} {len(means)},{HEIGHT}" fill="#4477aa"/>\n'
    f'<text y="{HEIGHT + 15}" font-size="12">1 to {len(depths)} bases, at most {max(depths)} reads</text>\n</svg>\n'
)
