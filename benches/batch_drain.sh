#!/usr/bin/env bash
# Runs eight rows that end one after another in eight slots, with two builds of ggrun, alternating.
#
#   GGUF=MODEL BEFORE=.../ggrun AFTER=.../ggrun [ROUNDS=5] [TOKENS=10] [THREADS=2] benches/batch_drain.sh > results.csv
#
# Row n generates TOKENS times 1 to 8 tokens, greedily and ignoring EOS, in an order that leaves gaps between the slots
# that still work. Both builds have loaded the weights before the clock starts. Raw times go to stdout, the median ratio
# of tokens per second (AFTER over BEFORE) with its range to stderr.
set -euo pipefail

: "${GGUF:?the model}" "${BEFORE:?a build}" "${AFTER:?a build}"
rounds=${ROUNDS:-5} tokens=${TOKENS:-10} threads=${THREADS:-2}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for length in 8 1 7 2 6 3 5 4; do
    printf '{"prompt":"%s","max_tokens":%d,"temperature":0,"ignore_eos":true}\n' "$length is a number" $((length * tokens))
done > "$folder/in.jsonl"

run() {
    "$1" batch -m "$GGUF" "$folder/in.jsonl" -o "$folder/out.jsonl" -np 8 -c 4096 -t "$threads" --cpu \
        --progress none --json 2> "$folder/said" > "$folder/end" || { cat "$folder/said" >&2; exit 1; }
    rm "$folder/out.jsonl"
    sed -n 's/.*"completion_tokens": \([0-9]*\).*/\1/p;s/.*"seconds": \([0-9.]*\).*/\1/p' "$folder/end" | paste -sd,
}

echo build,tokens,seconds
for round in $(seq "$rounds"); do
    order=(before after)
    ((round % 2)) || order=(after before)
    for build in "${order[@]}"; do
        program=$BEFORE
        [[ $build == after ]] && program=$AFTER
        echo "$build,$(run "$program")" | tee -a "$folder/all"
    done
done
awk -F, '
    $1 == "before" { before[++b] = $2 / $3 }
    $1 == "after" { after[++a] = $2 / $3 }
    END { for (i = 1; i <= a; i++) print after[i] / before[i] }' "$folder/all" | sort -n |
    awk '{ r[NR] = $1 } END { printf "median ratio %.3f (%.3f to %.3f)\n", r[int((NR + 1) / 2)], r[1], r[NR] }' >&2
