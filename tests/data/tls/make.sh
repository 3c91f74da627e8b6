#!/bin/sh
# Makes the certificates of the tests: for localhost, signed by themselves. They protect nothing.
set -eu
cd "$(dirname "$0")"
for name in first second; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj "/CN=$name" \
        -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$name.key.pem" -out "$name.pem"
done
