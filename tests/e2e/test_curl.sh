#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The service as the README shows it: with curl.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${CUPOLA_BIN:?path of the cupola binary}"
command -v curl >/dev/null || { echo "e2e: curl is not installed: skipped" >&2; exit 77; }

work=$(mktemp -d)
"$CUPOLA_BIN" serve models/pocket --port 0 >"$work/out" 2>"$work/log" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT

for _ in $(seq 600); do
    grep -q '^listening on ' "$work/out" && break
    kill -0 "$pid" || { cat "$work/log" >&2; exit 1; }
    sleep 0.1
done
url=$(sed -n 's/^listening on //p' "$work/out")

fail() { echo "FAILED: $1" >&2; cat "$work/log" >&2; exit 1; }
ask='{"model":"pocket","messages":[{"role":"user","content":"What is 3 + 4?"}]'

[ "$(curl -fsS "$url/health")" = '{"status":"ok"}' ] || fail health
curl -fsS "$url/v1/models" | grep -q '"id":"pocket"' || fail models
curl -fsS "$url/v1/chat/completions" -d "$ask}" | grep -q '"content":"[^"]*7' || fail "chat"
curl -fsS "$url/v1/chat/completions" -H 'Content-Type: application/json' -d "$ask}" >/dev/null || fail "chat as JSON"
curl -fsSN "$url/v1/chat/completions" -d "$ask,\"stream\":true}" >"$work/stream"
[ "$(grep -c '^data: ' "$work/stream")" -gt 3 ] || fail "stream"
[ "$(tail -n 2 "$work/stream" | head -n 1)" = 'data: [DONE]' ] || fail "end of the stream"
code=$(curl -sS -o "$work/error" -w '%{http_code}' "$url/v1/chat/completions" -d "$ask,\"temperature\":9}")
[ "$code" = 400 ] || fail "code $code of a wrong request"
grep -q '"param":"temperature"' "$work/error" || fail "param of a wrong request"
curl -sS -I "$url/v1/models" | grep -qi '^content-type: application/json' || fail HEAD
printf '%s}' "$ask" | curl -fsS -T - -X POST "$url/v1/chat/completions" | grep -q '"object":"chat.completion"' || fail "chunked body"
[ "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Origin: http://evil.example' "$url/openai/unloadall")" = 403 ] || fail origin
curl -fsS "$url/openai/loadedmodels" | grep -q pocket || fail "still loaded"
curl -fsS "$url/metrics" | grep -q '^cupola_generated_tokens_total{model="pocket"} [1-9]' || fail metrics

kill "$pid"
wait "$pid" || fail "exit code $?"
echo "curl: ok"
