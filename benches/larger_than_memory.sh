#!/usr/bin/env bash
# Compares a model that is larger than memory with experts read from disk as they are chosen, and with the mapped file.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [LIMIT=3000000000] [ROUNDS=5] [PROMPT=512] [ANSWER=32] [THREADS=N] \
#       benches/larger_than_memory.sh > results.csv
#
# Each round runs both, one after the other, in a control group with LIMIT bytes of memory, and drops the file from the
# page cache before each run. Making the group needs root. Without it, run the same commands below
# `systemd-run --user --scope -p MemoryMax=3G -p MemorySwapMax=0`.
#
# `disk` is the rate that `ggrun plan` measures just before the run, in GB/s; `hits` the share of chosen experts that
# were in memory. `least` and `most` are the tokens per second of an answer that `ggrun plan` expects.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun}
limit=${LIMIT:-3000000000}
tests=(-p "${PROMPT:-512}" -n "${ANSWER:-32}" -r 1 --cpu)
threads=(${THREADS:+-t "$THREADS"})

[[ $EUID == 0 ]] || { echo "a control group needs root; see the head of this file" >&2; exit 1; }
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    echo +memory > /sys/fs/cgroup/cgroup.subtree_control
    group=/sys/fs/cgroup/ggrun-bench.$$ file=memory.max
else
    group=/sys/fs/cgroup/memory/ggrun-bench.$$ file=memory.limit_in_bytes
fi
mkdir "$group"
trap 'rmdir "$group"' EXIT
echo "$limit" > "$group/$file"
[[ ! -e $group/memory.swap.max ]] || echo 0 > "$group/memory.swap.max"

limited() { (echo "$BASHPID" > "$group/cgroup.procs"; exec "$@"); }
evict() { dd if="$GGUF" iflag=nocache count=0 status=none; }
# The first number of a name in JSON, or nothing if it is null.
number() { sed -n "s/.*\"$1\": \([0-9.e-]*\),\{0,1\}$/\1/p" | head -1; }

echo "mode,round,test,tokens_per_second,hits,disk,least,most,load_seconds,load_average"
for round in $(seq "${ROUNDS:-5}"); do
    for mode in stream mmap; do
        evict
        plan=$(limited "$ggrun" plan "$GGUF" --cpu -lm stream "${threads[@]}" -c 4096 --json)
        disk=$(sed -n '/"disk"/,/}/p' <<< "$plan" | number read_bytes_per_second)
        least=$(number least <<< "$plan")
        most=$(number most <<< "$plan")
        result=$(limited "$ggrun" bench "$GGUF" "${tests[@]}" -lm "$mode" -nr "${threads[@]}" --json)
        mapfile -t names < <(sed -n 's/.*"test": "\(.*\)".*/\1/p' <<< "$result")
        mapfile -t rates < <(sed -n 's/.*"avg_ts": \([0-9.]*\).*/\1/p' <<< "$result")
        mapfile -t hits < <(sed -n 's/.*"expert_hit_rate": \(null\|[0-9.]*\).*/\1/p' <<< "$result")
        load=$(number load_seconds <<< "$result")
        for at in "${!names[@]}"; do
            awk -v m="$mode" -v r="$round" -v t="${names[at]}" -v s="${rates[at]}" -v h="${hits[at]/null/}" \
                -v d="$disk" -v least="$least" -v most="$most" -v l="$load" -v busy="$(cut -d' ' -f1 /proc/loadavg)" \
                'BEGIN { printf "%s,%d,%s,%.2f,%s,%.2f,%.2f,%.2f,%.2f,%s\n", m, r, t, s, h, d / 1e9, least, most, l, busy }'
        done
    done
done
