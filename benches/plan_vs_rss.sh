#!/usr/bin/env bash
# Compares the main memory that `ggrun plan` predicts for a model with the peak of a run.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] benches/plan_vs_rss.sh > results.csv
#
# Every run prefills a prompt longer than one batch and generates two tokens. The peak is that of the kernel (`VmHWM`),
# including the mapped file, sampled until the process ends. The state cache is turned off (-cram 0): the plan counts its
# full size, which only a long conversation fills. Exits with 1 if a ratio is off by more than 5 %, or if a run with one
# copy of the weights takes more than 1.1 times the file.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun}
prompt=$(mktemp)
trap 'rm -f "$prompt"' EXIT
seq -s ' ' 1000 1400 > "$prompt"
file=$(stat -Lc %s "$GGUF")
echo "flags,planned_bytes,peak_bytes,ratio,peak_over_file"
bad=0
for flags in "" "-lm none --repack" "-lm none -nr" "-lm mmap -nr" "-lm mmap --repack"; do
    for context in 4096 32768; do
        read -ra words <<< "$flags -c $context -cram 0 --cpu"
        planned=$("$ggrun" plan -m "$GGUF" "${words[@]}" --json | sed -n 's/.*"used_bytes": \([0-9]*\).*/\1/p')
        "$ggrun" run -m "$GGUF" -f "$prompt" -n 2 --temp 0 "${words[@]}" > /dev/null 2>&1 &
        process=$!
        peak=0
        while now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$process/status" 2> /dev/null) && [ -n "$now" ]; do
            peak=$((now * 1024))
            sleep 0.02
        done
        wait "$process"
        awk -v flags="${words[*]}" -v planned="$planned" -v peak="$peak" -v file="$file" 'BEGIN {
            ratio = planned / peak
            printf "%s,%.0f,%.0f,%.3f,%.3f\n", flags, planned, peak, ratio, peak / file
            twice = flags ~ /mmap --repack/
            exit ratio < 0.95 || ratio > 1.05 || (!twice && flags ~ /4096/ && peak > 1.1 * file)
        }' || bad=1
    done
done
exit $bad
