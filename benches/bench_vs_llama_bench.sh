#!/usr/bin/env bash
# Runs ggrun and llama.cpp's llama-bench, alternating, on one file with the same options.
#
#   GGUF=MODEL LLAMA_BENCH=.../llama-bench [GGRUN=target/release/ggrun] [ROUNDS=6] [REPS=3] [THREADS=2] \
#       benches/bench_vs_llama_bench.sh > results.csv
#
# Both prefill 512 tokens and generate 128, on the CPU, with repacked weights and batches of 512. Each round loads the
# model again and takes the mean of REPS runs after a warm-up. Every second round runs in reverse order, so that other load
# on the machine affects both. Raw rates go to stdout, the ratios (ggrun over llama-bench) to stderr. Exits with 1 if a
# median is below 0.98.
set -euo pipefail

: "${GGUF:?the model}" "${LLAMA_BENCH:?llama-bench}"
ggrun=${GGRUN:-target/release/ggrun}
threads=${THREADS:-2}
reps=${REPS:-3}
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT

field() { grep -o "\"$1\": *[0-9.e+]*" | sed 's/.*: *//'; }
one_run() {
    local out
    case $2 in
        ggrun) out=$("$ggrun" bench -m "$GGUF" -p 512 -n 128 -r "$reps" -t "$threads" -b 512 -ub 512 --cpu -lm none \
            --repack -o json 2> /dev/null) ;;
        llama-bench) out=$("$LLAMA_BENCH" -m "$GGUF" -p 512 -n 128 -r "$reps" -t "$threads" -b 512 -ub 512 -ngl 0 \
            -lm none -o json 2> /dev/null) ;;
    esac
    field avg_ts <<< "$out" | paste -sd, | sed "s/^/$1,$2,/" | tee -a "$raw"
}

echo "round,run,prefill_tokens_per_second,decode_tokens_per_second"
for round in $(seq "${ROUNDS:-6}"); do
    for run in $( ((round % 2)) && echo "llama-bench ggrun" || echo "ggrun llama-bench"); do one_run "$round" "$run"; done
done

ratios() { paste -d, <(grep ",ggrun," "$raw") <(grep ",llama-bench," "$raw") | awk -F, -v c="$1" '{ print $c / $(c + 4) }'; }
median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.3f (%.3f to %.3f)", (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2, a[1], a[NR] }'; }
prefill=$(ratios 3 | median) decode=$(ratios 4 | median)
echo "prefill: $prefill" >&2
echo "decode:  $decode" >&2
awk -v p="${prefill%% *}" -v d="${decode%% *}" 'BEGIN { exit p < 0.98 || d < 0.98 }'
