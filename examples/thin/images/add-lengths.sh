cat >/usr/local/bin/lengths <<'END'
#!/bin/bash
# Print the length of each sequence of a FASTA file.
set -euo pipefail
. /usr/local/lib/fasta.sh
sequences "$@" | awk '{ print $1 "\t" length($2) }'
END
chmod 755 /usr/local/bin/lengths
