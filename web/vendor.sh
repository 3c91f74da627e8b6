#!/bin/sh
# Rebuilds web/vendor: each library as one minified ES module, from the versions in package-lock.json. Needs npm.
#
#   --check  compare the result with web/vendor instead of replacing it
set -eu
cd "$(dirname "$0")"

mode=${1:-}
case $mode in
    "" | --check) ;;
    *) echo "vendor: unknown argument $mode, expected --check" >&2; exit 2 ;;
esac

npm ci --prefer-offline --ignore-scripts --no-audit --no-fund --silent
built=$(mktemp -d)
trap 'rm -r "$built"' EXIT

# A value of a library's package.json.
field() { node -p "require('./node_modules/$1/package.json').$2"; }

# Its version and licence.
about() { echo "$1 $(field "$1" version), $2"; }

# Writes a module with these exports: file, first line, source, options.
module() {
    file=$1 first=$2 source=$3
    shift 3
    printf '%s\n' "$source" | node_modules/.bin/esbuild --bundle --format=esm --minify --target=es2022 \
        --legal-comments=none --log-level=warning --banner:js="/*! $first; licence in LICENSES.txt */" \
        --outfile="$built/$file" "$@"
}

# Most of the library's common languages; a test limits the size of the page. Similar ones are neighbours: they compress
# better.
languages='css scss javascript typescript c cpp java kotlin csharp go rust php xml markdown bash shell diff json yaml ini
    makefile lua ruby python r sql plaintext'

highlighter() {
    echo "import library from 'highlight.js/lib/core'; export default library;"
    for language in $languages; do
        name=$(echo "$language" | tr - _)
        echo "import $name from 'highlight.js/lib/languages/$language'; library.registerLanguage('$language', $name);"
    done
}

# What app/ui.js and the signals use.
module preact.js "$(about preact MIT)" "
    export { Component, Fragment, createElement, h, isValidElement, options, render } from 'preact';
    export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';"
# Shares the module above.
module signals.js "$(about @preact/signals MIT), with $(about @preact/signals-core MIT)" "export { batch, computed, effect, signal } from '@preact/signals';" \
    --alias:preact=./preact.js --alias:preact/hooks=./preact.js --external:./preact.js
module htm.js "$(about htm Apache-2.0)" "export { default } from 'htm';"
module marked.js "$(about marked MIT)" "export { Marked } from 'marked';"
module dompurify.js "$(about dompurify Apache-2.0)" "export { default } from 'dompurify';"
module highlight.js "$(about highlight.js BSD-3-Clause)" "$(highlighter)"
module temml.js "$(about temml MIT)" "export { default } from 'temml';"

for library in preact @preact/signals @preact/signals-core htm marked dompurify highlight.js temml; do
    printf '==== %s %s ====\n\n' "$library" "$(field $library version)"
    cat "node_modules/$library/LICENSE"
    echo
done > "$built/LICENSES.txt"

{
    cat <<'END'
# Vendored libraries

Made by `web/vendor.sh` from the versions in `web/package-lock.json`; do not edit. The first line of each file names library,
version and licence; [LICENSES.txt](LICENSES.txt) has the licences.

| file | bytes | SHA-256 |
| --- | --- | --- |
END
    for file in "$built"/*.js "$built/LICENSES.txt"; do
        sum=$(sha256sum < "$file")
        printf '| `%s` | %d | `%s` |\n' "${file##*/}" "$(wc -c < "$file")" "${sum%% *}"
    done
} > "$built/README.md"

if [ "$mode" ]; then
    diff -r vendor "$built" > /dev/null || { echo "vendor: web/vendor differs from a rebuild; run web/vendor.sh" >&2; exit 1; }
else
    mkdir -p vendor
    rm -f vendor/*
    cp "$built"/* vendor/
fi
