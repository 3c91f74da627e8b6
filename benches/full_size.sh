#!/usr/bin/env bash
# Converts a checkpoint of the 80B model's size from a hub on this machine, deleting shards as it goes; interrupts one
# conversion in the middle and kills it at the end; verifies the GGUF.
#
#   cargo build --release -p testkit --example hub
#   SCRATCH=EMPTY_FOLDER [LAYERS=48] [SHARDS=9] [TOKENIZER=FOLDER] [KEEP=FILE] [GGRUN=target/release/ggrun] \
#       [HUB=target/release/examples/hub] benches/full_size.sh > results.csv
#
# The hub generates the data of the shards from a seed for each request, on the same cores. 48 layers are 41 GB and become
# a GGUF of 46 GB; a layer takes about 0.95 GB. The disk needs room for the GGUF and two shards, and for `verify`, which is
# skipped without it, the GGUF and all shards. TOKENIZER is a folder with the model's `tokenizer.json`; without it, the hub
# makes up a vocabulary. KEEP is where the GGUF goes at the end.
#
# `peak_disk` and `sent` are bytes, `read` and `written` those of the disk. `hub_s` is the processor time of the hub. Runs:
#   hashes     the hub computes the SHA-256 of all shards: generates everything once
#   convert    a whole conversion
#   interrupt  a conversion that gets SIGINT when half of the checkpoint was sent
#   kill       the same command again, killed with SIGKILL when everything was sent
#   finish     the same command again
#   copy       the GGUF, in pieces of 4 GiB that are synced and deleted
#   verify     the GGUF with the whole checkpoint, neither in the page cache
set -euo pipefail

: "${SCRATCH:?a folder to write in}"
ggrun=${GGRUN:-target/release/ggrun}
repo=org/full-size
mkdir -p "$SCRATCH"
[[ -z $(ls -A "$SCRATCH") ]] || { echo "$SCRATCH is not empty" >&2; exit 1; }
log=$SCRATCH/time sampled=$SCRATCH/sampled gguf=$SCRATCH/out.gguf
export HF_HOME=$SCRATCH/hf
hub='' sampler=''
stop() { [[ -z $1 ]] || { kill "$1" && wait "$1"; } 2> /dev/null || true; }
trap 'stop "$sampler"; stop "$hub"; rm -rf "${SCRATCH:?}"/*' EXIT

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
sent() { curl -fsS "$HF_ENDPOINT/sent"; }
hub_seconds() { awk -v tick="$(getconf CLK_TCK)" '{ printf "%.1f", ($14 + $15) / tick }' "/proc/$hub/stat"; }
evict() { for file; do dd if="$file" iflag=nocache count=0 status=none; done; }
sample() {
    local most=0 used
    while sleep 0.5; do
        used=$(du -s --block-size=1 "$SCRATCH" 2> /dev/null | cut -f1) || true
        ((${used:-0} <= most)) || { most=$used; echo "$most" > "$sampled"; }
    done
}
# Runs a command. With LIMIT and SIGNAL, sends it the signal when the hub has sent LIMIT bytes since BEGIN.
measured() {
    local name=$1 from before exit=0 child='' timer
    shift
    from=$(sent) before=$(hub_seconds)
    echo 0 > "$sampled"
    sample & sampler=$!
    /usr/bin/time -q -o "$log" -f "%e,%U,%S,%M,%I,%O" "$@" > "$SCRATCH/stdout" 2> "$SCRATCH/stderr" & timer=$!
    if [[ -n ${LIMIT:-} ]]; then
        until (($(sent) - BEGIN >= LIMIT)); do
            sleep 0.1
            child=$(pgrep -P "$timer") || break
        done
        [[ -z $child ]] || kill -s "$SIGNAL" "$child"
    fi
    wait "$timer" || exit=$?
    stop "$sampler"; sampler=''
    if ((exit)) && [[ -z ${LIMIT:-} ]]; then cat "$SCRATCH/stderr" >&2; exit "$exit"; fi
    awk -F, -v n="$name" -v disk="$(cat "$sampled")" -v sent="$(($(sent) - from))" -v a="$before" -v b="$(hub_seconds)" \
        -v exit_code="$exit" '{ printf "%s,%s,%s,%s,%s,%.0f,%.0f,%s,%s,%.1f,%s\n",
            n, $1, $2, $3, $4, $5 * 512, $6 * 512, disk, sent, b - a, exit_code }' <(tail -1 "$log")
}
convert() { measured "$1" "$ggrun" convert "$repo" --delete-source-as-you-go -o "$gguf"; }

echo "run,seconds,user_s,system_s,peak_kib,read,written,peak_disk,sent,hub_s,exit"
begin=$(now)
"${HUB:-target/release/examples/hub}" "$SCRATCH/small" "${LAYERS:-48}" "${SHARDS:-9}" ${TOKENIZER:+"$TOKENIZER"} \
    > "$SCRATCH/address" & hub=$!
until [[ -s $SCRATCH/address ]]; do kill -0 "$hub"; sleep 0.2; done
HF_ENDPOINT=$(cat "$SCRATCH/address")
export HF_ENDPOINT
echo "hashes,$(since "$begin"),,,,,,,,$(hub_seconds),0"

BEGIN=$(sent)
convert convert
bytes=$(($(sent) - BEGIN))
first=$(sha256sum < "$gguf")
rm "$gguf"

BEGIN=$(sent)
LIMIT=$((bytes / 2)) SIGNAL=INT convert interrupt
LIMIT=$bytes SIGNAL=KILL convert kill
convert finish
[[ $(sha256sum < "$gguf") == "$first" ]] || { echo "the interrupted conversion made another file" >&2; exit 1; }

evict "$gguf"
size=$(stat -c %s "$gguf")
copy() {
    local piece
    for ((piece = 0; piece << 32 < size; piece++)); do
        dd if="$1" of="$1.copy" bs=4M count=1024 skip=$((piece * 1024)) conv=fsync status=none
        rm "$1.copy"
    done
}
export -f copy
export size
measured copy bash -ec 'copy "$1"' copy "$gguf"

if (($(df --output=avail -B1 "$SCRATCH" | tail -1) > bytes + (1 << 30))); then
    "$ggrun" download "$repo" > /dev/null
    mapfile -t shards < <(find "$HF_HOME" -type f -size +1G)
    evict "$gguf" "${shards[@]}"
    measured verify "$ggrun" verify "$gguf" "$repo"
    cat "$SCRATCH/stdout" >&2
else
    echo "verify skipped: the disk has no room for the checkpoint" >&2
fi
[[ -z ${KEEP:-} ]] || mv "$gguf" "$KEEP"
