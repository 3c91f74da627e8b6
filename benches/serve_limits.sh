#!/usr/bin/env bash
# Strains `ggrun serve` and checks that it holds its limits.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [CLIENTS=target/release/examples] benches/serve_limits.sh KIND...
#
# KIND        what clients do                                               what must hold
# disconnect  1000 go away while they wait, are read or written             memory within 2 MiB, threads and files as before, no
#             beside one that stays                                         token of the one that stays computed again, all of
#                                                                           its answers whole
# idle        10,000 connections stay open                                  20 KiB each; `/health` p99 in 50 ms with 4 slots at work
# slow        5000 connections send a byte a second                         all closed within 60 s
# burst       200 requests at once, four slots and 64 places                68 answered, 132 refused with 503 within 20 ms
# stalled     32 streams whose clients stop reading                         all closed within 36 s
# soak        10,000 requests to all endpoints                              memory of the last fifth within 2 MiB of the second's
# stop        SIGTERM while 8 streams are written                           each ends, exit code 0 within the drain and 2 s
# quiet       a stream with a prompt of QUIET tokens (default 4000)         a byte every 6 s: keepalive comments, then the answer to
#                                                                           its end
#
# All but `quiet` are meant for the bundled model; `quiet` needs one that reads the prompt for longer than 5 s. The clients are `tests/testkit/examples/limits.rs` and `load.rs`
# (`cargo build --release -p testkit --examples`). `idle` and `slow` need `ulimit -n` above their numbers.
set -euo pipefail

: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun} clients=${CLIENTS:-target/release/examples} port=${PORT:-18393}
address=127.0.0.1:$port
folder=$(mktemp -d)
server= other=
end() {
    local process
    for process in $server $other; do kill "$process" 2> /dev/null || true; done
    rm -rf "$folder"
}
trap end EXIT

start() {
    "$ggrun" serve -m "$GGUF" -np 4 -c "${context:-8192}" -t 2 --cpu --port "$port" --metrics "$@" > "$folder/log" 2>&1 &
    server=$!
    until curl -sf "http://$address/health" > /dev/null; do
        sleep 0.2
        is_running "$server" || { echo "the server ended before it was ready" >&2; cat "$folder/log" >&2; exit 1; }
    done
    "$clients/load" "$address" --clients 4 --requests 8 --prompt 8 --tokens 8 > /dev/null
}
stop() { kill "$server"; wait "$server" || true; server=; }
is_running() { kill -0 "$1" 2> /dev/null; }
limits() { "$clients/limits" "$address" "$@"; }
memory() { awk '/VmRSS/ { print $2 }' "/proc/$server/status"; }
threads() { find "/proc/$server/task" -mindepth 1 -maxdepth 1 | wc -l; }
files() { find "/proc/$server/fd" -mindepth 1 | wc -l; }
metric() { curl -s "http://$address/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }
check() { # NAME VALUE AT-MOST
    if awk -v value="$2" -v most="$3" 'BEGIN { exit !(value <= most) }'; then word=ok; else word=FAILED failed=1; fi
    echo "$word: $1: $2 (at most $3)"
}
expect() { # NAME FOUND EXPECTED
    if [ "$2" = "$3" ]; then word=ok; else word=FAILED failed=1; fi
    echo "$word: $1: $2 (expected $3)"
}
failed=0

disconnect() {
    start
    limits disconnect 200 > /dev/null
    sleep 3
    local memory files threads again
    memory=$(memory) files=$(files) threads=$(threads)
    "$clients/load" "$address" --clients 1 --requests 400 --prompt 30 --tokens 200 > "$folder/steady" &
    other=$!
    again=$(metric ggrun_prompt_tokens_recomputed_total)
    limits disconnect 1000 > /dev/null
    expect "the one that stayed was there until all others had gone" "$(is_running "$other" && echo yes || echo no)" yes
    wait "$other" || echo "the client ended with $?"
    other=
    sleep 3
    expect "answers and tokens of the one that stayed" "$(cut -d , -f 1,2 "$folder/steady")" 400,80000
    check "memory, KiB more" $(($(memory) - memory)) 2048
    check "open files more" $(($(files) - files)) 0
    check "threads more" $(($(threads) - threads)) 0
    check "tokens computed again" $(($(metric ggrun_prompt_tokens_recomputed_total) - again)) 0
    check "slots at work" "$(metric ggrun_num_requests_running)" 0
    stop
}
idle() {
    start
    local before
    before=$(memory)
    # Stopped below: its end would be an error.
    "$clients/load" "$address" --clients 4 --requests 1000000 --prompt 30 --tokens 2000 > "$folder/busy" &
    other=$!
    mkfifo "$folder/go"
    limits idle 10000 < "$folder/go" > "$folder/health" &
    local holder=$!
    exec 3> "$folder/go"
    until [ -s "$folder/health" ]; do sleep 0.2; kill -0 "$holder"; done
    check "memory of a connection, KiB" $((($(memory) - before) / 10000)) 20
    check "health p99, ms" "$(cat "$folder/health")" 50
    expect "the slots were at work until then" "$(is_running "$other" && echo yes || echo no)" yes
    echo >&3
    exec 3>&-
    wait "$holder"
    kill "$other" 2> /dev/null || true
    wait "$other" 2> /dev/null || true
    other=
    stop
}
slow() {
    start
    local line
    line=$(limits slow 5000)
    check "connections left" "${line%,*}" 0
    check "seconds until all are closed" "${line#*,}" 60
    stop
}
burst() {
    start
    local line
    line=$(limits burst 200)
    echo "$line"
    check "requests not answered or refused as expected" "$([[ $line == '{200: 68, 503: 132}'* ]]; echo $?)" 0
    check "slowest refusal, ms" "${line##*,}" 20
    stop
}
stalled() {
    start
    local before
    before=$(files)
    mkfifo "$folder/stalled"
    limits stalled 32 < "$folder/stalled" > "$folder/count" &
    local holder=$!
    exec 3> "$folder/stalled"
    until [ -s "$folder/count" ]; do sleep 0.1; done
    sleep 36
    check "connections left" $(($(files) - before)) 0
    echo >&3
    exec 3>&-
    wait "$holder"
    stop
}
soak() {
    start
    limits soak 10000 "$server" | tee "$folder/soak"
    check "memory of the last fifth over the second, KiB" \
        "$(awk -F, 'NR == 2 { second = $2 } NR == 5 { print $2 - second }' "$folder/soak")" 2048
    stop
}
stop_streams() {
    start --drain 5
    local begun n
    for n in $(seq 8); do
        curl -sN "http://$address/v1/completions" -d '{"prompt":"hi","max_tokens":1000000,"ignore_eos":true,"stream":true}' \
            > "$folder/stream.$n" &
    done
    sleep 2
    begun=$(date +%s%N)
    kill "$server"
    local code=0
    wait "$server" || code=$?
    check "exit code" "$code" 0
    check "milliseconds until it ended" $((($(date +%s%N) - begun) / 1000000)) 7000
    sleep 0.5
    for n in $(seq 8); do
        tail -n 2 "$folder/stream.$n" | grep -qE 'DONE|"error"' || { echo "FAILED: stream $n has no end"; failed=1; }
    done
}
quiet() {
    local context=$(((${QUIET:-4000} + 1000) * 4))
    start
    local prompt line
    prompt=$(seq -s , 100 $((100 + ${QUIET:-4000})))
    curl -sN "http://$address/v1/completions" -d "{\"prompt\":[$prompt],\"max_tokens\":2,\"stream\":true}" > "$folder/pipe" &
    other=$!
    local size=0 now still=0 code=0
    while is_running "$other"; do
        sleep 1
        now=$(stat -c %s "$folder/pipe")
        still=$((now == size ? still + 1 : 0)) size=$now
        [ "$still" -le 6 ] || { echo "FAILED: nothing for $still s"; failed=1; kill "$other" || true; }
    done
    wait "$other" || code=$?
    other=
    expect "exit code of curl" "$code" 0
    expect "last event" "$(grep -v '^$' "$folder/pipe" | tail -n 1)" "data: [DONE]"
    line=$(grep -c '^: ' "$folder/pipe" || true)
    echo "$line keepalive comments"
    expect "there were keepalive comments (else QUIET is too short)" "$([ "$line" -ge 1 ] && echo yes || echo no)" yes
    stop
}

for kind in "$@"; do
    echo "== $kind"
    case $kind in
    disconnect | idle | slow | burst | stalled | soak | quiet) "$kind" ;;
    stop) stop_streams ;;
    *) echo "unknown \`$kind\`" >&2; exit 2 ;;
    esac
done
exit "$failed"
