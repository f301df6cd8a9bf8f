#!/usr/bin/env bash
# Installs the servers that `make up` and some tests start privately on free ports. Nothing is started system-wide.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "make services needs Debian or Ubuntu, as root: sudo make services" >&2
    exit 1
fi
missing=()
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v wrk >/dev/null || missing+=(wrk)
command -v promtool >/dev/null || missing+=(prometheus)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium fonts-dejavu-core)
if [ ${#missing[@]} -eq 0 ]; then
    echo "RabbitMQ, Redis, Prometheus, wrk and Chromium are installed."
    exit 0
fi
# Keep the packages from starting servers of their own: the tests start private ones.
policy=/usr/sbin/policy-rc.d
made=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes
fi
trap '[ "$made" = no ] || rm -f "$policy"' EXIT
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
# Nor at the next boot: what has just been installed is disabled, what was there before stays as it is.
if command -v systemctl >/dev/null; then
    for package in "${missing[@]}"; do systemctl disable --quiet "$package" 2>/dev/null || true; done
fi
echo "Installed: ${missing[*]}"
