#!/bin/sh
set -e
mkdir -p /usr/share/doc/count
echo "count counts the sequences of FASTA files" >/usr/share/doc/count/README
