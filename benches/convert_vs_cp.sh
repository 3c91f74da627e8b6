#!/usr/bin/env bash
# Converts a checkpoint and copies its shards, alternating, on one disk, and compares the times.
#
#   cargo build --release -p gguf-export --example convert
#   cargo run --release -p gguf-export --example wide -- CHECKPOINT Qwen3.6-27B 8 65536    # writes one of 3.9 GB
#   WIDE=CHECKPOINT SCRATCH=EMPTY_FOLDER [ROUNDS=6] [CONVERT=target/release/examples/convert] \
#       benches/convert_vs_cp.sh > results.csv
#
# Two pairs: `cp` and a sync of the copies against the conversion, which syncs its output; and `cp` alone against the
# conversion under `eatmydata` (if installed), which turns syncs into no-ops. Every run starts with the source in the page
# cache and no dirty pages, and reuses the memory that is freed by deleting the previous output. Runs alternate, so that
# other load on the machine affects all of them, and every second round runs in reverse order: the first run after `cp` is
# slower than later ones. Raw numbers go to stdout, the summary to stderr.
set -euo pipefail

: "${WIDE:?the checkpoint to convert}" "${SCRATCH:?a folder to write in, on the same disk}"
convert=${CONVERT:-target/release/examples/convert}
raw=$(mktemp) log=$(mktemp)
out=$SCRATCH/out
trap 'rm -rf "$raw" "$log" "$out"' EXIT

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.3f", b - a }'; }
timed() { /usr/bin/time -o "$log" -f "%U,%S,%M" "$@" > /dev/null; }
# The last output is deleted only now, so that its memory is reused. The first use of new memory can cost as much as a copy.
clear() { cat "$WIDE"/* > /dev/null; [ ! -d "$out" ] || sync "$out"/*; rm -rf "$out"; mkdir "$out"; }

one_run() {
  clear
  local start copied="" done
  start=$(now)
  case $2 in
    cp)
      timed cp "$WIDE"/*.safetensors "$out"
      copied=$(since "$start")
      sync "$out"/*
      done=$(since "$start") ;;
    convert)
      timed "$convert" "$WIDE" "$out/model.gguf" --no-verify
      done=$(since "$start") ;;
    convert_without_sync)
      timed eatmydata "$convert" "$WIDE" "$out/model.gguf" --no-verify
      copied=$(since "$start") done="" ;;
  esac
  echo "$1,$2,$done,$copied,$(cat "$log")" | tee -a "$raw"
}

runs="cp convert"
back="convert cp"
if command -v eatmydata > /dev/null; then
  runs="$runs convert_without_sync" back="convert_without_sync $back"
fi
mkdir "$out"
cp "$WIDE"/*.safetensors "$out"
echo "round,run,seconds,seconds_without_sync,user_s,system_s,peak_kib" | tee "$raw"
for round in $(seq "${ROUNDS:-6}"); do
  for run in $( ((round % 2)) && echo "$runs" || echo "$back"); do one_run "$round" "$run"; done
done

median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.3f (%.3f to %.3f)", (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2, a[1], a[NR] }'; }
column() { awk -F, -v run="$1" -v c="$2" '$2 == run { print $c }' "$raw"; }
ratios() { paste <(column "$1" "$3") <(column "$2" "$3") | awk '{ print $1 / $2 }'; }
bytes=$(cat "$WIDE"/*.safetensors | wc -c)
rate() { awk -v b="$bytes" '{ print b / $1 / 1e9 }'; }
line() { echo "$1 $(column "$2" "$3" | median) s, $(column "$2" "$3" | rate | median) GB/s"; }
{
  echo "source: $bytes bytes; medians (least to most) of ${ROUNDS:-6} rounds"
  line "cp and sync:          " cp 3
  line "convert with its sync:" convert 3
  echo "ratio with sync:       $(ratios convert cp 3 | median)"
  line "cp alone:             " cp 4
  if command -v eatmydata > /dev/null; then
    line "convert without sync: " convert_without_sync 4
    echo "ratio without sync:    $(ratios convert_without_sync cp 4 | median)"
  else
    echo "convert without sync:  not measured, eatmydata is not installed"
  fi
  echo "peak memory:           $(column convert 7 | median) KiB"
} >&2
