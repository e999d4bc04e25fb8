# Run inside the image: the proxy starts, answers its API with its token only, and routes. Prints one line of JSON.
set -eu
test "$(id -u)" != 0
for name in cc gcc g++ ld make npm; do
    if command -v "$name" > /dev/null; then echo "$name is in the image" >&2; exit 1; fi
done
export CONFIGPROXY_AUTH_TOKEN=smoke
configurable-http-proxy --ip=127.0.0.1 --port=8000 --api-ip=127.0.0.1 --api-port=8001 --log-level=warn &
node /tmp/smoke.mjs
kill $!
