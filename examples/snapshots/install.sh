#!/bin/bash
# Runs in a fresh container of the base image; what it leaves there is the image.
set -euo pipefail

mkdir -p /opt/fasta-count/bin /data
cat >/opt/fasta-count/bin/fasta-count <<'PROGRAM'
#!/bin/bash
# Counts the records and bases of a FASTA file on stdin.
[ "${1-}" = --help ] && { echo "usage: fasta-count <reads.fa"; exit; }
awk '/^>/ { records++; next } { bases += length($0) } END { print records + 0 " records, " bases + 0 " bases" }'
PROGRAM
chmod +x /opt/fasta-count/bin/fasta-count
echo "installed fasta-count"
