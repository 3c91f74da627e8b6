#!/usr/bin/env bash
# Measures decoding on an idle machine, and beside busy programs, of ggrun and of one built with OpenMP.
#
#   GGUF=MODEL OPENMP=GGRUN_WITH_OPENMP [GGRUN=target/release/ggrun] [BUSY="0 2 4"] [TOKENS=64] [ROUNDS=5] [THREADS=2] \
#       benches/threads.sh > results.csv
#
# OPENMP is ggrun with the feature `openmp` of `llama-cpp-2`, as before patch 0011; it runs by default, where threads spin
# while they wait, and as `passive`, where they sleep. BUSY are numbers of endless loops for each processor. Every second
# round runs in reverse order, so that other load on the machine affects all. Raw results go to stdout: tokens a second,
# processor time of the whole process, load before. Medians go to stderr, with the fair share: the idle speed divided by
# the number of programs on each processor. Exits with 1 if an idle machine gives less than 0.98 of OpenMP's speed, a busy
# one less than half of the fair share, or any takes more than twice the processor time of `passive`.
set -euo pipefail

: "${GGUF:?the model}" "${OPENMP:?ggrun with OpenMP}"
ggrun=${GGRUN:-target/release/ggrun}
processors=$(getconf _NPROCESSORS_ONLN)
threads=${THREADS:-$processors}
tokens=${TOKENS:-64}
raw=$(mktemp)
loops=()
quiet() {
    ((${#loops[@]} == 0)) || kill "${loops[@]}" 2> /dev/null || true
    loops=()
}
trap 'quiet; rm -f "$raw" "$raw".*' EXIT

one_run() {
    local program=$ggrun policy="" load
    [[ $3 == ggrun ]] || program=$OPENMP
    [[ $3 != passive ]] || policy=passive
    load=$(cut -d' ' -f1 /proc/loadavg)
    # A run that waits for ever is as good as one of five minutes.
    TIMEFORMAT='%U %S'
    { time env ${policy:+OMP_WAIT_POLICY=$policy} timeout 300 "$program" bench -m "$GGUF" -p 0 -n "$tokens" -r 1 \
        -t "$threads" --cpu -o json > "$raw.out" 2> /dev/null; } 2> "$raw.time" || true
    awk -v busy="$1" -v round="$2" -v run="$3" -v load="$load" '
        FILENAME ~ /out$/ && /"avg_ts"/ { gsub(/[^0-9.e+]/, "", $2); speed = $2 }
        FILENAME ~ /time$/ && NF == 2 { cpu = $1 + $2 }
        END { printf "%s,%s,%s,%.3f,%.2f,%s\n", busy, round, run, speed, cpu, load }' "$raw.out" "$raw.time" | tee -a "$raw"
}

echo "busy_loops_per_processor,round,run,tokens_per_second,cpu_seconds,load"
for busy in ${BUSY:-0 2 4}; do
    for ((i = 0; i < busy * processors; i++)); do
        (while :; do :; done) &
        loops+=($!)
    done
    for round in $(seq "${ROUNDS:-5}"); do
        for run in $( ((round % 2)) && echo "openmp passive ggrun" || echo "ggrun passive openmp"); do
            one_run "$busy" "$round" "$run"
        done
    done
    quiet
    wait
done

median() { awk -F, -v b="$1" -v r="$2" -v c="$3" '$1 == b && $3 == r { print $c }' "$raw" | sort -n |
    awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2 }'; }
idle=$(median 0 ggrun 4)
failed=0
for busy in ${BUSY:-0 2 4}; do
    awk -v b="$busy" -v idle="$idle" -v g="$(median "$busy" ggrun 4)" -v o="$(median "$busy" openmp 4)" \
        -v p="$(median "$busy" passive 4)" -v gc="$(median "$busy" ggrun 5)" -v oc="$(median "$busy" openmp 5)" \
        -v pc="$(median "$busy" passive 5)" 'BEGIN {
            printf "%d loops: %.2f t/s (%.2f s), OpenMP %.2f (%.2f s), passive %.2f (%.2f s); of OpenMP %.3f, of the fair share %.2f\n", \
                b, g, gc, o, oc, p, pc, (o > 0 ? g / o : 0), (idle > 0 ? g * (b + 1) / idle : 0)
            exit (b == 0 && g < 0.98 * o) || (b > 0 && g * (b + 1) < idle / 2) || gc > 2 * pc
        }' >&2 || failed=1
done
exit "$failed"
