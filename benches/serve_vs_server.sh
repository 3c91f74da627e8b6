#!/usr/bin/env bash
# Compares `ggrun serve` with llama.cpp's llama-server on the same file, alternating.
#
#   GGUF=MODEL LLAMA_SERVER=.../llama-server [GGRUN=target/release/ggrun] [LOAD=target/release/examples/load] [ROUNDS=5] \
#       [SLOTS=4] [CLIENTS=8] [REQUESTS=32] [THREADS=2] benches/serve_vs_server.sh KIND > results.csv
#
# KIND   requests                                                                  fails if the median of the rounds is
# apart  prompts of 30 tokens without a common prefix, 64 tokens each              tokens/s < 1.10 x
# shared the same after 500 tokens that all begin with                             tokens/s < 2.0 x
# first  prompts of 500 tokens without a common prefix, 16 tokens each             first token p50 > 1.0 x, p99 > 1.0 x
# again  500 common tokens and 30 of each request's own, 16 tokens each            first token p50 > 0.5 x, p99 > 0.6 x
# stall  a prompt of 4000 tokens arrives while three answers are written           gap p99 > 300 ms or > 0.5 x
# batch  the rows of a batch, against `ggrun batch` in place of llama-server       tokens/s < 0.97 x
# alone  one client; only `ggrun serve`, with the bundled model                    overhead p99 > 2 ms, > 25 us a token
#
# The client is `tests/testkit/examples/load.rs` (`cargo build --release -p testkit --example load`). Both programs have
# loaded the weights before the clock starts; every second round runs in reverse order. Raw numbers go to stdout, medians
# and ratios (ggrun over the other) to stderr.
set -euo pipefail

kind=${1:?apart, shared, first, again, stall, batch or alone}
: "${GGUF:?the model}"
ggrun=${GGRUN:-target/release/ggrun} load=${LOAD:-target/release/examples/load}
slots=${SLOTS:-4} clients=${CLIENTS:-8} requests=${REQUESTS:-32} threads=${THREADS:-2} port=${PORT:-18392}
address=127.0.0.1:$port other=server
case $kind in
apart) options=(--prompt 30 --tokens 64) ;;
shared) options=(--prompt 30 --shared 500 --tokens 64) ;;
first) options=(--prompt 500 --tokens 16) ;;
again) options=(--prompt 30 --shared 500 --tokens 16) ;;
stall) options=(--prompt 30 --tokens 4000 --long 4000) clients=3 ;;
batch) options=() other=batch ;;
alone) options=(--prompt 30 --tokens 64) clients=1 other= ;;
*) exit 2 ;;
esac
case $kind in stall) context=8192 ;; *) context=1024 ;; esac
[ "$other" != server ] || : "${LLAMA_SERVER:?llama-server}"
folder=$(mktemp -d)
server=
end() { [ -z "$server" ] || kill "$server" 2> /dev/null || true; rm -rf "$folder"; }
trap end EXIT
failed() { echo "$1" >&2; cat "$folder/log" >&2; exit 1; }

if [ "$kind" = batch ]; then
    awk -v rows="$requests" '
        BEGIN {
            srand(7)
            count = split("time year people way day man thing woman life child world school state family student group", word, " ")
            for (n = 1; n <= rows; n++) {
                text = ""
                for (w = 0; w < 30; w++) text = text " " word[int(rand() * count) + 1]
                printf "{\"prompt\":\"%s\",\"max_tokens\":64,\"temperature\":0,\"ignore_eos\":true}\n", text
            }
        }' > "$folder/rows.jsonl"
    options=(--rows "$folder/rows.jsonl")
fi

# The microseconds that threads other than the engine's have used: those of the runtime.
runtime_time() {
    local ticks
    ticks=$(cat /proc/"$server"/task/*/stat 2> /dev/null | sed 's/.*(\(.*\)) /\1 /' |
        awk '$1 ~ /^(tokio|serve)/ { n += $13 + $14 } END { print n + 0 }')
    echo $((ticks * 1000000 / $(getconf CLK_TCK)))
}
# Measures the server, which has just been started, and ends it. These functions set `result`: in a subshell, an error would
# not end the script, and `server` would be lost.
measure() {
    until curl -sf "http://$address/health" > /dev/null; do
        sleep 0.2
        kill -0 "$server" 2> /dev/null || failed "the server ended before it was ready"
    done
    # Not another program that listens on the port.
    kill -0 "$server" 2> /dev/null || failed "another server answers at $address"
    # The first answer pays for what is computed once.
    "$load" "$address" --clients 1 --requests 1 --prompt 8 --tokens 4 --seed 99 > /dev/null || failed "the first request failed"
    local before
    before=$(runtime_time)
    result=$("$load" "$address" --clients "$clients" --requests "$requests" "${options[@]}") || failed "a request failed"
    result=$result,$(($(runtime_time) - before))
    kill "$server" 2> /dev/null || failed "the server ended"
    wait "$server" 2> /dev/null || true
    server=
}
with_ggrun() {
    "$ggrun" serve -m "$GGUF" -np "$slots" -c $((context * slots)) -t "$threads" --cpu --port "$port" > "$folder/log" 2>&1 &
    server=$!
    measure
}
with_server() {
    "$LLAMA_SERVER" -m "$GGUF" -np "$slots" -c $((context * slots)) -t "$threads" -ngl 0 --port "$port" > "$folder/log" 2>&1 &
    server=$!
    measure
}
with_batch() {
    "$ggrun" batch -m "$GGUF" "$folder/rows.jsonl" -o "$folder/out.jsonl" -np "$slots" -c $((context * slots)) -t "$threads" --cpu \
        --progress none --json 2> "$folder/log" > "$folder/end" || failed "the batch failed"
    rm "$folder/out.jsonl"
    result=$(awk -v rows="$requests" -F'[:,]' '/"completion_tokens"/ { n = $2 + 0 } /"seconds"/ { s = $2 + 0 }
        END { printf "%d,%d,%s,0,0,0,0,0,0\n", rows, n, s }' "$folder/end")
}

echo "kind,round,run,requests,tokens,seconds,first_p50_ms,first_p99_ms,gap_p50_ms,gap_p99_ms,overhead_p99_ms,runtime_us"
for round in $(seq "${ROUNDS:-5}"); do
    for run in $( ((round % 2)) && echo $other ggrun || echo ggrun $other); do
        "with_$run"
        echo "$kind,$round,$run,$result" | tee -a "$folder/raw"
    done
done
awk -F, -v kind="$kind" -v other="$other" '
    {
        rate[$3, $2] = $5 / $6; p50[$3, $2] = $7; p99[$3, $2] = $8; gap[$3, $2] = $10; over[$3, $2] = $11
        cost[$3, $2] = $12 / $5; rounds = $2 > rounds ? $2 : rounds
    }
    function median(values, a, b,    r, n, at, x, sorted) {
        for (r = 1; r <= rounds; r++) {
            x = b == "" ? values[a, r] : values[a, r] / values[b, r]
            for (at = r; at > 1 && sorted[at - 1] > x; at--) sorted[at] = sorted[at - 1]
            sorted[at] = x
        }
        return (sorted[int((rounds + 1) / 2)] + sorted[int(rounds / 2) + 1]) / 2
    }
    function claim(what, value, bound, least) {
        printf "%s: %.3f (%s %s)\n", what, value, least ? "at least" : "at most", bound > "/dev/stderr"
        failed = failed || (least ? value < bound : value > bound)
    }
    END {
        if (kind == "apart") claim("tokens/s over llama-server", median(rate, "ggrun", other), 1.10, 1)
        if (kind == "shared") claim("tokens/s over llama-server", median(rate, "ggrun", other), 2.0, 1)
        if (kind == "batch") claim("tokens/s over ggrun batch", median(rate, "ggrun", other), 0.97, 1)
        if (kind == "first" || kind == "again") {
            claim("first token p50 over llama-server", median(p50, "ggrun", other), kind == "first" ? 1.0 : 0.5, 0)
            claim("first token p99 over llama-server", median(p99, "ggrun", other), kind == "first" ? 1.0 : 0.6, 0)
        }
        if (kind == "stall") {
            claim("gap p99, ms", median(gap, "ggrun", ""), 300, 0)
            claim("gap p99 over llama-server", median(gap, "ggrun", other), 0.5, 0)
        }
        if (kind == "alone") {
            claim("first token beyond the engine p99, ms", median(over, "ggrun", ""), 2, 0)
            claim("processor time of the server a token, us", median(cost, "ggrun", ""), 25, 0)
        }
        exit failed
    }' "$folder/raw"
