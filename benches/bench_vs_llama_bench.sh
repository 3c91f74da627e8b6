#!/usr/bin/env bash
# Runs ggrun, llama.cpp and ik_llama.cpp, alternating, on one file with the same options.
#
#   GGUF=MODEL [GGRUN=target/release/ggrun] [LLAMA_BENCH=.../llama-bench] [IK_LLAMA_BENCH=.../llama-bench] \
#       [ROUNDS=5] [THREADS="2 1"] [TESTS="pp512 pp2048 tg np2 np4 np8 load"] [LABEL=native] [WRAP="chrt -f 10"] \
#       benches/bench_vs_llama_bench.sh > results.csv
#
# Programs, of which those without a binary are left out; llama-batched-bench is expected beside llama-bench:
#   ggrun          as it loads the file by default
#   llama-repack   llama.cpp, file read and repacked, its fastest way on a CPU
#   llama-plain    llama.cpp, file mapped, not repacked
#   ik             ik_llama.cpp, file mapped, fused experts (its default)
#   ik-repack      ik_llama.cpp, repacked while loading (-rtr)
# Tests: prefill of 512 and of 2048 tokens, each in one ubatch; generation of 32 tokens after 16, in one sequence and in 2,
# 4 and 8 slots; and a whole process that generates one token, whose time is that of loading.
#
# Every run loads the model again, with the file in the page cache, warms up and measures once. In every round each program
# runs each test, one program after the other, in reverse order in every second round, so that other load on the machine
# affects all. Seconds, processor seconds and peak memory are those of the whole process, with loading. WRAP is a command that
# starts every run. Raw numbers go to stdout; medians, and the ratios to ggrun in the same round, to stderr. Exits with 1 if
# ggrun is slower in a median than llama.cpp.
set -euo pipefail

: "${GGUF:?the model}"
GGUF=$(realpath "$GGUF")
ggrun=$(realpath "$(command -v "${GGRUN:-target/release/ggrun}")")
[ -z "${LLAMA_BENCH:-}" ] || LLAMA_BENCH=$(realpath "$(command -v "$LLAMA_BENCH")")
[ -z "${IK_LLAMA_BENCH:-}" ] || IK_LLAMA_BENCH=$(realpath "$(command -v "$IK_LLAMA_BENCH")")
label=${LABEL:-native}
read -ra wrap <<< "${WRAP:-}"
scratch=$(mktemp -d)
raw=$scratch/raw used=$scratch/used out=$scratch/out log=$scratch/log
trap 'rm -rf "$scratch"' EXIT

programs=(ggrun)
[ -z "${LLAMA_BENCH:-}" ] || programs+=(llama-repack llama-plain)
[ -z "${IK_LLAMA_BENCH:-}" ] || programs+=(ik ik-repack)

# The arguments that select a program and how it loads, for one sequence or for slots.
binary() {
    case $1 in
        ggrun) echo "$ggrun bench --cpu -fa on -o json" ;;
        llama-repack) echo "$LLAMA_BENCH -ngl 0 -fa on -lm none --repack 1 -o json" ;;
        llama-plain) echo "$LLAMA_BENCH -ngl 0 -fa on -lm mmap --repack 0 -o json" ;;
        ik) echo "$IK_LLAMA_BENCH -ngl 0 -fa 1 -fmoe 1 -rtr 0 -o json" ;;
        ik-repack) echo "$IK_LLAMA_BENCH -ngl 0 -fa 1 -fmoe 1 -rtr 1 -o json" ;;
    esac
}
slots_binary() {
    case $1 in
        ggrun) binary ggrun ;;
        llama-repack) echo "$(dirname "$LLAMA_BENCH")/llama-batched-bench -ngl 0 -fa on -lm none" ;;
        llama-plain) echo "$(dirname "$LLAMA_BENCH")/llama-batched-bench -ngl 0 -fa on -lm mmap -nr" ;;
        ik) echo "$(dirname "$IK_LLAMA_BENCH")/llama-batched-bench -ngl 0 -fa on" ;;
        ik-repack) echo "$(dirname "$IK_LLAMA_BENCH")/llama-batched-bench -ngl 0 -fa on -rtr" ;;
    esac
}

# The command of a test.
command_of() {
    local program=$1 test=$2 threads=$3 warm
    warm=$(case $program in ggrun) ;; llama*) echo --no-warmup ;; ik*) echo -w 0 ;; esac)
    case $test in
        pp*) echo "$(binary "$program") -p ${test#pp} -n 0 -r 1 -b ${test#pp} -ub ${test#pp}" ;;
        tg) echo "$(binary "$program") -p 0 -n 32 -r 1 -b 512 -ub 512" ;;
        load) echo "$(binary "$program") -p 0 -n 1 -r 1 -b 512 -ub 512 $warm" ;;
        np*)
            local slots=${test#np}
            echo "$(slots_binary "$program") -b 512 -ub 512 $(
                [ "$program" = ggrun ] && echo "-p 0 -n 32 -d 16 -np $slots -r 1" ||
                    echo "-c $((slots * 256)) -npp 16 -ntg 32 -npl $slots")" ;;
    esac | sed "s|\$| -t $threads|"
}

# The rate in the output: of JSON, or of the table of llama-batched-bench, which ik_llama.cpp's writes to stderr.
rate() {
    if grep -q avg_ts "$out"; then
        grep -o '"avg_ts": *[0-9.e+]*' "$out" | sed 's/.*: *//' | tail -1
    else
        awk -F'|' '$2 ~ /^ *[0-9]+ *$/ { gsub(/ /, "", $9); rate = $9 } END { print rate }' "$out" "$log"
    fi
}

one_run() {
    local threads=$1 round=$2 test=$3 program=$4 words speed
    read -ra words <<< "$(command_of "$program" "$test" "$threads")"
    "${wrap[@]}" /usr/bin/time -o "$used" -f "%e %U %S %M" "${words[@]}" -m "$GGUF" > "$out" 2> "$log" ||
        { cat "$log" >&2; echo "failed: ${words[*]}" >&2; exit 1; }
    speed=$(rate)
    [ "$test" != load ] || speed=
    awk -v begin="$label,$threads,$round,$test,$program,$speed" \
        '{ printf "%s,%s,%.2f,%s\n", begin, $1, $2 + $3, $4 }' "$used" | tee -a "$raw"
}

# ik_llama.cpp's llama-batched-bench writes a log file into the current folder.
cd "$scratch"
cat "$GGUF" > /dev/null
echo "label,threads,round,test,program,tokens_per_second,seconds,processor_seconds,peak_kib"
for threads in ${THREADS:-2 1}; do
    for round in $(seq "${ROUNDS:-5}"); do
        for test in ${TESTS:-pp512 pp2048 tg np2 np4 np8 load}; do
            order=$(printf '%s\n' "${programs[@]}")
            ((round % 2)) || order=$(tac <<< "$order")
            for program in $order; do one_run "$threads" "$round" "$test" "$program"; done
        done
    done
done

# Medians with their ranges; ratios are above 1 where ggrun is better.
awk -F, '
    function median(list, n,    at, x, i) {
        for (i = 2; i <= n; i++) {
            x = list[i]
            for (at = i; at > 1 && list[at - 1] > x; at--) list[at] = list[at - 1]
            list[at] = x
        }
        least = list[1]; most = list[n]
        return (list[int((n + 1) / 2)] + list[int(n / 2) + 1]) / 2
    }
    # The median of a value, or of its ratio to that of ggrun in the same round.
    function middle(of, key, program, relative,    n, r, list, mine, other) {
        n = 0
        for (r = 1; r <= rounds; r++) {
            other = of[key, program, r]
            mine = of[key, "ggrun", r]
            if (other == "" || relative && (mine == "" || other * mine == 0)) continue
            list[++n] = !relative ? other : relative > 0 ? mine / other : other / mine
        }
        return n ? median(list, n) : "-"
    }
    function text(value, form) { return value == "-" ? value : sprintf(form, value) }
    {
        key = $2 ", " $4
        if (!(key in seen)) { keys[++count] = key; seen[key] }
        if (!($5 in is_program)) { programs[++of_programs] = $5; is_program[$5] }
        if ($3 > rounds) rounds = $3
        if ($6 != "") speed[key, $5, $3] = $6
        wall[key, $5, $3] = $7; processor[key, $5, $3] = $8; peak[key, $5, $3] = $9 / 1048576
    }
    END {
        print "| threads, test | program | t/s (range) | ggrun over it (range) | s | over ggrun | processor s | over ggrun | GiB |"
        print "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        for (k = 1; k <= count; k++) for (p = 1; p <= of_programs; p++) {
            key = keys[k]; program = programs[p]
            rate = middle(speed, key, program, 0)
            line = "| " key " | " program " | " text(rate, "%.1f") (rate == "-" ? "" : sprintf(" (%.1f to %.1f)", least, most))
            ratio = middle(speed, key, program, 1)
            line = line " | " text(ratio, "%.2f") (ratio == "-" ? "" : sprintf(" (%.2f to %.2f)", least, most))
            if (ratio != "-" && program ~ /^llama/ && ratio < 1) slower = 1
            line = line " | " text(middle(wall, key, program, 0), "%.2f") " | " text(middle(wall, key, program, -1), "%.2f")
            line = line " | " text(middle(processor, key, program, 0), "%.2f")
            line = line " | " text(middle(processor, key, program, -1), "%.2f")
            print line " | " text(middle(peak, key, program, 0), "%.2f") " |"
        }
        exit slower
    }' "$raw" >&2
