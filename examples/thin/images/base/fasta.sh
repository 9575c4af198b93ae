# Functions for FASTA files.

# Print each sequence in one line: name, tab, letters in upper case.
sequences() {
    awk '/^>/ { if (name) print name "\t" toupper(letters); name = substr($1, 2); letters = ""; next }
         { letters = letters $1 }
         END { if (name) print name "\t" toupper(letters) }' "$@"
}
