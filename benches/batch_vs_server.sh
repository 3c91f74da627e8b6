#!/usr/bin/env bash
# Runs the same rows with `ggrun batch` and llama.cpp's llama-server, alternating, with the same number of slots.
#
#   GGUF=MODEL LLAMA_SERVER=.../llama-server [GGRUN=target/release/ggrun] [ROWS=200] [ROUNDS=3] [SLOTS=4] [THREADS=2] \
#       [TOKENS=16] benches/batch_vs_server.sh apart|shared > results.csv
#
# Every row generates TOKENS tokens, greedily and ignoring EOS. `apart`: prompts of about 30 tokens without a common
# prefix; `shared`: the same prompts after a common prefix of 500 tokens. Twice as many connections as slots send requests
# to the server, so that no slot is ever idle. Both programs have loaded the weights before the clock starts. Every second
# round runs in reverse order. Raw times go to stdout, the ratio of tokens per second (ggrun over llama-server) to stderr.
# Exits with 1 if its median is below 1.0, or 1.3 for `shared`.
set -euo pipefail

kind=${1:?apart or shared}
: "${GGUF:?the model}" "${LLAMA_SERVER:?llama-server}"
case $kind in apart) least=1.0 prefix=0 ;; shared) least=1.3 prefix=500 ;; *) exit 2 ;; esac
ggrun=${GGRUN:-target/release/ggrun}
rows=${ROWS:-200} slots=${SLOTS:-4} threads=${THREADS:-2} tokens=${TOKENS:-16} port=${PORT:-18391}
folder=$(mktemp -d)
trap 'kill "${server:-}" 2> /dev/null || true; rm -rf "$folder"' EXIT

mkdir "$folder/bodies"
awk -v rows="$rows" -v prefix="$prefix" -v tokens="$tokens" -v folder="$folder" '
    function words(n,    text) {
        while (n-- > 0) text = text " " word[int(rand() * count) + 1]
        return text
    }
    BEGIN {
        srand(7)
        count = split("time year people way day man thing woman life child world school state family student group " \
            "country problem hand part place case week company system program question work number night point home", word, " ")
        begin = words(prefix)
        for (n = 1; n <= rows; n++) {
            body = sprintf("{\"prompt\":\"%s%s\",\"max_tokens\":%d,\"temperature\":0,\"ignore_eos\":true}", begin, words(30), tokens)
            print body > (folder "/in.jsonl")
            print body > (folder "/bodies/" n)
            close(folder "/bodies/" n)
        }
    }'
context=$((prefix + 30 + tokens + 470))

now() { date +%s.%N; }
with_ggrun() {
    "$ggrun" batch -m "$GGUF" "$folder/in.jsonl" -o "$folder/out.jsonl" -np "$slots" -c $((context * slots)) -t "$threads" --cpu \
        --progress none --json 2> "$folder/said" > "$folder/end" || { cat "$folder/said" >&2; exit 1; }
    rm "$folder/out.jsonl"
    sed -n 's/.*"completion_tokens": \([0-9]*\).*/\1/p;s/.*"seconds": \([0-9.]*\).*/\1/p' "$folder/end" | paste -sd,
}
with_server() {
    "$LLAMA_SERVER" -m "$GGUF" -np "$slots" -c $((context * slots)) -t "$threads" -ngl 0 --port "$port" > "$folder/log" 2>&1 &
    server=$!
    until curl -sf "http://127.0.0.1:$port/health" > /dev/null; do sleep 0.2; kill -0 "$server"; done
    local begin end
    begin=$(now)
    find "$folder/bodies" -type f | sort -V | xargs -P $((slots * 2)) -I{} \
        curl -sf "http://127.0.0.1:$port/v1/completions" -H 'Content-Type: application/json' -d @{} -o {}.answer
    end=$(now)
    kill "$server"; wait "$server" 2> /dev/null || true
    cat "$folder"/bodies/*.answer | grep -o '"completion_tokens": *[0-9]*' |
        awk -F: -v t="$(echo "$end - $begin" | bc)" '{ n += $2 } END { print n "," t }'
    rm "$folder"/bodies/*.answer
}

echo "kind,round,run,tokens,seconds"
for round in $(seq "${ROUNDS:-3}"); do
    for run in $( ((round % 2)) && echo "server ggrun" || echo "ggrun server"); do
        echo "$kind,$round,$run,$("with_$run")" | tee -a "$folder/raw"
    done
done
awk -F, -v rows="$rows" -v tokens="$tokens" -v least="$least" '
    $4 != rows * tokens { print "not every row has its tokens" > "/dev/stderr"; exit 1 }
    { rate[$3, $2] = $4 / $5; rounds = $2 > rounds ? $2 : rounds }
    END {
        for (r = 1; r <= rounds; r++) {
            x = rate["ggrun", r] / rate["server", r]
            for (at = r; at > 1 && sorted[at - 1] > x; at--) sorted[at] = sorted[at - 1]
            sorted[at] = x
        }
        median = (sorted[int((rounds + 1) / 2)] + sorted[int(rounds / 2) + 1]) / 2
        printf "ggrun over llama-server: %.3f (%.3f to %.3f)\n", median, sorted[1], sorted[rounds] > "/dev/stderr"
        exit median < least
    }' "$folder/raw"
