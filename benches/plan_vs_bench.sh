#!/usr/bin/env bash
# Compares the speed that `ggrun plan` expects with the speed that `ggrun bench` measures.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [ROUNDS=3] benches/plan_vs_bench.sh > results.csv
#
# Each round runs both for every placement, one after the other, so that both see the same machine: on the CPU, and with
# half of the layers on a worker that runs on this machine. `inside` is 1 where the measured speed is within the range.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun}
layers=$("$ggrun" inspect "$GGUF" --json | sed -n 's/.*block_count": \([0-9]*\).*/\1/p' | head -1)
"$ggrun" worker --port 50990 --device CPU > /dev/null 2>&1 &
worker=$!
trap 'kill $worker' EXIT
sleep 2
echo "placement,round,least,most,measured,inside,load"
for round in $(seq "${ROUNDS:-3}"); do
    for placement in "--cpu" "--rpc 127.0.0.1:50990 -ngl $((layers / 2))"; do
        read -ra words <<< "$placement"
        plan=$("$ggrun" plan "$GGUF" -c 4096 "${words[@]}" --json)
        least=$(sed -n 's/.*"least": \([0-9.]*\).*/\1/p' <<< "$plan")
        most=$(sed -n 's/.*"most": \([0-9.]*\).*/\1/p' <<< "$plan")
        measured=$("$ggrun" bench "$GGUF" -p 0 -n 24 -r 2 "${words[@]}" --json | sed -n 's/.*"avg_ts": \([0-9.]*\).*/\1/p')
        load=$(cut -d' ' -f1 /proc/loadavg)
        awk -v p="$placement" -v r="$round" -v l="$least" -v m="$most" -v s="$measured" -v busy="$load" 'BEGIN {
            printf "%s,%d,%.2f,%.2f,%.2f,%d,%s\n", p, r, l, m, s, (s >= l && s <= m), busy
        }'
    done
done
