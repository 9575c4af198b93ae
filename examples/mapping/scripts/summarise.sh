#!/bin/bash
# The image has bash and awk, as every image has that AWE can run.
depth=${snakemake_input[depth]}
{
    awk -F'\t' '$3 == "primary mapped %" { print "mapped: " $1 }' "${snakemake_input[flags]}"
    awk '{ all += $3 } END { printf "mean coverage: %.1f\n", all / NR }' "$depth"
    # The longest stretch that no read covers.
    awk '$3 { from = 0; next } { if (!from) from = $2; if ($2 - from > most) { most = $2 - from; text = from " to " $2 } }
        END { print "not covered: " text }' "$depth"
} >"${snakemake_output[0]}"
