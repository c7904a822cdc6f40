#!/bin/sh
# poll.sh URL: POST there, ask where and when the server says, print what came
set -eu
body=$(mktemp)
trap 'rm -f "$body"' EXIT

answer='%{http_code} %header{retry-after} %{redirect_url}'
ask() {
    curl -sS -o "$body" -w "$answer" "$@"
}

set -- $(ask -d '' "$1")
while [ "$1" = 303 ]; do
    sleep "$2"
    set -- $(ask --retry 5 "$3")
done
cat "$body"
[ "$1" = 200 ]
