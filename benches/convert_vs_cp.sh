#!/usr/bin/env bash
# Converts a checkpoint and copies its shards in turn, on one disk, and compares the times.
#
#   cargo build --release -p gguf-export --example convert
#   WIDE=CHECKPOINT SCRATCH=EMPTY_FOLDER [ROUNDS=5] [CONVERT=target/release/examples/convert] \
#       benches/convert_vs_cp.sh > results.csv
#
# Every run starts with the source in the page cache and ends with its output on the disk: `cp` is followed by a
# sync of the copies, the conversion syncs by itself. The time of `cp` alone is kept too. Rounds alternate, so that
# whatever else the machine does meets both. Raw numbers go to stdout, the summary to stderr.
set -euo pipefail

: "${WIDE:?the checkpoint to convert}" "${SCRATCH:?a folder to write in, on the same disk}"
convert=${CONVERT:-target/release/examples/convert}
raw=$(mktemp) log=$(mktemp)
trap 'rm -rf "$raw" "$log" "$SCRATCH/copy" "$SCRATCH/out.gguf"*' EXIT

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.3f", b - a }'; }
warm() { cat "$WIDE"/* > /dev/null; sync; }

echo "round,run,seconds,seconds_without_sync,user_s,system_s,peak_kib" | tee "$raw"
for round in $(seq "${ROUNDS:-5}"); do
  warm
  mkdir "$SCRATCH/copy"
  start=$(now)
  /usr/bin/time -o "$log" -f "%U,%S,%M" cp "$WIDE"/*.safetensors "$SCRATCH/copy/"
  copied=$(since "$start")
  sync "$SCRATCH"/copy/*
  echo "$round,cp,$(since "$start"),$copied,$(cat "$log")" | tee -a "$raw"
  rm -r "$SCRATCH/copy"

  warm
  start=$(now)
  /usr/bin/time -o "$log" -f "%U,%S,%M" "$convert" "$WIDE" "$SCRATCH/out.gguf" --no-verify > /dev/null
  echo "$round,convert,$(since "$start"),,$(cat "$log")" | tee -a "$raw"
  rm "$SCRATCH/out.gguf"
done

median() { sort -n | awk '{ a[NR] = $1 } END { printf "%.3f (%.3f to %.3f)", (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2, a[1], a[NR] }'; }
column() { awk -F, -v run="$1" -v c="$2" '$2 == run { print $c }' "$raw"; }
ratios() { paste <(column convert 3) <(column cp "$1") | awk '{ print $1 / $2 }'; }
bytes=$(cat "$WIDE"/*.safetensors | wc -c)
rate() { awk -v b="$bytes" '{ print b / $1 / 1e9 }'; }
{
  echo "source: $bytes bytes; medians (least to most) of ${ROUNDS:-5} rounds"
  echo "cp and sync:           $(column cp 3 | median) s, $(column cp 3 | rate | median) GB/s"
  echo "cp alone:              $(column cp 4 | median) s, $(column cp 4 | rate | median) GB/s"
  echo "convert with its sync: $(column convert 3 | median) s, $(column convert 3 | rate | median) GB/s"
  echo "ratio to cp and sync:  $(ratios 3 | median)"
  echo "ratio to cp alone:     $(ratios 4 | median)"
  echo "peak memory:           $(column convert 7 | median) KiB"
} >&2
