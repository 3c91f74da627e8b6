#!/usr/bin/env bash
# Checks every layout on a GPU by the answers of the bundled model, and compares the speed that `ggrun plan` expects with
# that of `ggrun bench`. Writes gpu_table.csv, gpu_table.md and gpu_table.log.
#
#   [GGUF=MODEL] [GGRUN=target/release/ggrun] [FOLDER=benches/record/MACHINE/DATE] [DEVICE=CUDA0] [MINUTES=10] \
#       [ROUNDS=2] [PROMPT=512] [ANSWER=64] [QUESTIONS=60] [SMALL=20M] [SIZES="8G 12G 16G 24G"] benches/gpu_table.sh
#
# Uses no network. `cargo build --release --features cuda` (or vulkan) makes GGRUN; a copy of that file, `tests/data` and
# this script are enough on another machine of the same kind. Without GGUF, the speeds are those of the bundled model,
# which is too small for them to mean much. What does not begin within MINUTES is `skipped`. Each layout is asked QUESTIONS
# questions; the last one may use SMALL of the GPU's memory, where only a part of the bundled model fits.
#
# Columns: `right` of `asked` answers; tokens per second that `plan` expects at least and at most, and that `bench`
# measures for an answer (tg) and a prompt (pp); bytes of GPU memory, planned and at the peak; where the model was placed.
set -euo pipefail
cd "$(dirname "$0")/.."

ggrun=${GGRUN:-target/release/ggrun}
minutes=${MINUTES:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { sed -n "s/.*\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -1; }
# Runs a command with what is left of the time. Its standard error goes to a file and to the log.
timed() {
    local rest=$((minutes * 60 - SECONDS)) code=0
    ((rest > 0)) || return 124
    echo "+ $*" >> "$folder/gpu_table.log"
    timeout -k 10 "$rest" "$@" 2> "$work/said" || code=$?
    cat "$work/said" >> "$folder/gpu_table.log"
    return $code
}

devices=$("$ggrun" run --list-devices)
row=$(awk -v want="${DEVICE:-}" 'NR > 1 && $1 != "CPU" && $1 !~ /^RPC/ && (want == "" || $1 == want) { print; exit }' <<< "$devices")
[[ -n $row ]] || { printf 'no GPU%s among the devices of `%s`:\n%s\n' "${DEVICE:+ $DEVICE}" "$ggrun" "$devices" >&2; exit 1; }
device=$(awk '{ print $1 }' <<< "$row")
buffer=$(awk '{ print $2 }' <<< "$row")
card=$(sed 's/.* of [0-9.]* [KMGT]*i*B *//' <<< "$row")
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null | head -1 || true)
[[ -n $driver ]] && driver="NVIDIA $driver, Linux $(uname -r)" || driver="Linux $(uname -r)"
commit=${COMMIT:-$(git rev-parse --short HEAD 2> /dev/null || echo unknown)}
engine=$("$ggrun" --version | head -1)
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
name=$(tr -cs '[:alnum:]' - <<< "$card" | tr '[:upper:]' '[:lower:]' | sed 's/^-//; s/-$//')
folder=${FOLDER:-benches/record/$name/$(date +%F)}
mkdir -p "$folder"
: > "$folder/gpu_table.log"

tiny=$work/tiny-thinker.gguf
"$ggrun" convert tests/data/tiny-thinker -o "$tiny" > /dev/null 2>> "$folder/gpu_table.log"
gguf=${GGUF:-$tiny}
layers_of() { "$ggrun" inspect "$1" --json | field 'qwen3next.block_count'; }

csv=$folder/gpu_table.csv
echo "table,layout,status,right,asked,least,most,tg,pp,planned_gpu_bytes,peak_gpu_bytes,seconds,placement" > "$csv"
# Adds a row: fields in the order of the columns, of which the layout and the last may contain commas.
add() {
    local line="$1,\"$2\"" last=${!#}
    shift 2
    while (($# > 1)); do line+=",$1"; shift; done
    echo "$line,\"${last//\"/\'}\"" >> "$csv"
}
# The status of a command that failed.
status_of() { case $1 in 4) echo "does not fit" ;; 124 | 137) echo skipped ;; *) echo "failed ($1)" ;; esac; }

# The id and the answer of each question, in order.
questions=$work/questions.jsonl
head -n "${QUESTIONS:-60}" tests/data/questions.jsonl > "$questions"
text='"\(\([^"\\]\|\\.\)*\)"'
sed -n "s/.*\"custom_id\": \"\([^\"]*\)\".*\"answer\": $text.*/\1 \2/p" "$questions" | sort > "$work/expected"
asked=$(wc -l < "$work/expected")
placed() { sed -n 's/^[0-9]* slots of [0-9]* tokens: //p' "$work/said" | head -1; }

answers() {
    local begin=$SECONDS code=0 right=0
    rm -f "$work/answers.jsonl"
    timed "$ggrun" batch -m "$tiny" "$questions" -o "$work/answers.jsonl" -np 4 "$@" > /dev/null || code=$?
    if ((code == 0)); then
        sed -n "s/.*\"custom_id\":\"\([^\"]*\)\".*\"role\":\"assistant\",\"content\":$text.*/\1 \2/p" "$work/answers.jsonl" |
            sort > "$work/found"
        right=$(comm -12 "$work/expected" "$work/found" | wc -l)
        add answers "$*" ok "$right" "$asked" "" "" "" "" "" "" $((SECONDS - begin)) "$(placed)"
    else
        add answers "$*" "$(status_of $code)" 0 "$asked" "" "" "" "" "" "" $((SECONDS - begin)) ""
    fi
}

speed() {
    local begin=$SECONDS code=0 plan bench least most tg pp planned peak reason
    plan=$(timed "$ggrun" plan "$gguf" -c "${PROMPT:-512}" -cram 0 --json "$@") || code=$?
    least=$(field least <<< "$plan")
    most=$(field most <<< "$plan")
    reason=$(sed -n 's/.*"reason": "\(.* .*\)",\{0,1\}$/\1/p' <<< "$plan" | head -1)
    if ((code == 0)); then
        bench=$(timed "$ggrun" bench "$gguf" -p "${PROMPT:-512}" -n "${ANSWER:-64}" -r "${ROUNDS:-2}" --json "$@") || code=$?
    fi
    if ((code != 0)); then
        add speed "$*" "$(status_of $code)" "" "" "$least" "$most" "" "" "" "" $((SECONDS - begin)) "$reason"
        return
    fi
    pp=$(grep -A1 '"test": "pp' <<< "$bench" | field avg_ts)
    tg=$(grep -A1 '"test": "tg' <<< "$bench" | field avg_ts)
    planned=$(field planned_vram_bytes <<< "$bench")
    peak=$(field peak_vram_bytes <<< "$bench")
    add speed "$*" ok "" "" "$least" "$most" "$tg" "$pp" "$planned" "$peak" $((SECONDS - begin)) "$reason"
}

layers=$(layers_of "$tiny")
use=(-dev "$device")
answers --cpu
answers "${use[@]}" -ngl 0
# The head and the MTP layer, which is not loaded, count too.
answers "${use[@]}" -ngl $((layers / 2 + 1))
answers "${use[@]}" -ngl all
answers "${use[@]}" -cmoe
answers "${use[@]}" -cmoe -nopo
answers "${use[@]}" -cmoe --op-offload
answers "${use[@]}" -ncmoe $((layers / 2))
answers "${use[@]}" -ngl all -ot exps=CPU
answers "${use[@]}" -ngl 0 -ot "exps=$buffer"
answers "${use[@]}" -ngl all -nkvo
answers "${use[@]}" -ngl all -ctk q8_0 -ctv q8_0 -fa on
answers "${use[@]}" -ngl all -ctk f32 -ctv f32 -fa off
answers "${use[@]}" --gpu-memory "${SMALL:-20M}"

layers=$(layers_of "$gguf")
speed --cpu
speed "${use[@]}" -ngl all
speed "${use[@]}" -ngl all -cmoe
speed "${use[@]}" -ngl all -cmoe -nopo
speed "${use[@]}" -ngl all -cmoe --op-offload
speed "${use[@]}" -ngl all -ncmoe $(((layers + 1) / 2))
for size in ${SIZES:-8G 12G 16G 24G}; do
    speed "${use[@]}" --gpu-memory "$size"
done

{
    echo "# $card, $(date +%F)"
    echo
    echo "Commit $commit, $engine. $device, $driver; $cpu, $(nproc) processors. \`benches/gpu_table.sh\`, $SECONDS s"
    echo "([raw](gpu_table.csv))."
    echo
    echo "## Answers of the bundled model"
    echo
    echo "| options | right | placement |"
    echo "| --- | --- | --- |"
    awk -F'"' '$1 == "answers," { split($3, f, ","); r = f[2] == "ok" ? f[3] " of " f[4] : f[2]; print "| `" $2 "` | " r " | " $4 " |" }' "$csv"
    echo
    echo "## Speed of \`$(basename "$gguf")\`, tokens per second"
    echo
    echo "| options | expected | measured | prompt | GPU memory, planned and peak, MiB | placement |"
    echo "| --- | --- | --- | --- | --- | --- |"
    awk -F'"' '$1 == "speed," {
        split($3, f, ",")
        range = f[5] == "" ? "-" : sprintf("%.1f to %.1f", f[5], f[6])
        if (f[2] != "ok") { print "| `" $2 "` | " range " | " f[2] " | | | " $4 " |"; next }
        memory = f[9] == "" ? "" : sprintf("%.0f, %s", f[9] / 1048576, f[10] == "" || f[10] == "null" ? "?" : sprintf("%.0f", f[10] / 1048576))
        printf "| `%s` | %s | %.1f | %.1f | %s | %s |\n", $2, range, f[7], f[8], memory, $4
    }' "$csv"
} > "$folder/gpu_table.md"
cat "$folder/gpu_table.md"
! grep -q '^answers,.*,failed (' "$csv"
