#!/usr/bin/env bash
# Runs a model that is larger than memory by default placement: its plan, a short answer, `bench`, and a batch with four
# slots.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [PROMPT=512] [ANSWER=32] [ROWS=8] [THREADS=N] \
#       benches/full_size_run.sh > results.csv
#
# Evicts the file from the page cache before each run, and measures sequential reads of it past the cache first: `disk`.
# `read` is what the process read from the disk in bytes, `rate` that over the whole run in GB/s, `faults` are those that
# had to read. `tokens_per_second` of `plan` is what it expects, at least and at most, for the answer, and of `batch` counts
# all rows. Each run also loads the model.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun}
common=(--cpu ${THREADS:+-t "$THREADS"})
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\),\{0,1\}$/\1/p" "$scratch/out" | head -1; }
measured() {
    dd if="$GGUF" iflag=nocache count=0 status=none
    /usr/bin/time -q -o "$scratch/time" -f "%e,%U,%S,%M,%F,%I" "$@" > "$scratch/out" 2> "$scratch/err" ||
        { cat "$scratch/err" >&2; exit 1; }
}
# Prints a row: name, tokens per second, share of chosen experts in memory, expected least and most.
row() {
    awk -F, -v start="$1,$2,$3,$4,$5" '{ printf "%s,%s,%s,%s,%s,%s,%.0f,%.2f\n", start, $1, $2, $3, $4, $5, $6 * 512, $6 * 512 / $1 / 1e9 }' \
        "$scratch/time"
}

echo "run,tokens_per_second,hits,least,most,seconds,user_s,system_s,peak_kib,faults,read,rate"
measured dd if="$GGUF" of=/dev/null bs=4M iflag=direct count=1024
row disk "" "" "" ""

measured "$ggrun" plan "$GGUF" "${common[@]}" -c 4096 --json
least=$(number least) most=$(number most)
row plan "" "$(number hit_rate)" "$least" "$most"
sed -n 's/.*"reason": "\(.*\)",/plan: \1/p' "$scratch/out" >&2

measured "$ggrun" run -m "$GGUF" "${common[@]}" -c 4096 -n "${ANSWER:-32}" --ignore-eos --temp 0 "Count to ten."
row run "" "" "" ""
grep -v '^$' "$scratch/err" >&2 || true

measured "$ggrun" bench "$GGUF" "${common[@]}" -p "${PROMPT:-512}" -n 0 -r 1 --json
row "pp${PROMPT:-512}" "$(number avg_ts)" "$(number expert_hit_rate)" "" ""
measured "$ggrun" bench "$GGUF" "${common[@]}" -p 0 -n "${ANSWER:-32}" -r 1 --json
row "tg${ANSWER:-32}" "$(number avg_ts)" "$(number expert_hit_rate)" "$least" "$most"

for i in $(seq "${ROWS:-8}"); do
    printf '{"custom_id":"%d","body":{"messages":[{"role":"user","content":"Say something about the number %d."}],"max_tokens":%d,"temperature":0,"ignore_eos":true}}\n' \
        "$i" "$((i * 7919))" "${ANSWER:-32}"
done > "$scratch/in.jsonl"
measured "$ggrun" batch -m "$GGUF" "$scratch/in.jsonl" -o "$scratch/answers.jsonl" -np 4 -c 4096 "${common[@]}" \
    --progress none --json
row batch_np4 "$(number tokens_per_second)" "" "" ""
