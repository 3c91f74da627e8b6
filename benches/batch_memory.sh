#!/usr/bin/env bash
# Checks that a batch's memory does not grow with its rows.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [ROWS=10000] benches/batch_memory.sh > results.csv
#
# Runs many short rows and samples the process's memory (`VmRSS`). Exits with 1 if the mean over the last fifth of the run
# is more than 2 % and 1 MiB above that of the second fifth. In the first fifth, buffers grow to their final sizes.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun}
rows=${ROWS:-10000}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk -v rows="$rows" 'BEGIN { for (n = 0; n < rows; n++)
    printf "{\"messages\":[{\"role\":\"user\",\"content\":\"What is %d + %d?\"}],\"max_tokens\":2,\"temperature\":0}\n", n % 900, n % 70 }' \
    > "$folder/in.jsonl"
"$ggrun" batch -m "$GGUF" "$folder/in.jsonl" -o "$folder/out.jsonl" -np 4 --progress none 2> "$folder/said" &
process=$!
echo "rows,kib"
while kib=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2> /dev/null) && [ -n "$kib" ]; do
    done=$(wc -l 2> /dev/null < "$folder/out.jsonl" || echo 0)
    [ "$done" -gt 0 ] && echo "$done,$kib" | tee -a "$folder/samples"
    sleep 0.2
done
wait "$process" || { cat "$folder/said" >&2; exit 1; }
[ "$(wc -l < "$folder/out.jsonl")" -eq "$rows" ]
awk -F, -v rows="$rows" '
    { fifth = int($1 * 5 / (rows + 1)); sum[fifth] += $2; count[fifth]++ }
    END {
        if (!count[1] || !count[4]) { print "too few samples" > "/dev/stderr"; exit 1 }
        early = sum[1] / count[1]; late = sum[4] / count[4]
        printf "second fifth %.0f KiB, last fifth %.0f KiB\n", early, late > "/dev/stderr"
        exit late > early * 1.02 && late > early + 1024
    }' "$folder/samples"
