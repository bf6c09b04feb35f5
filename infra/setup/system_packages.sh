#!/usr/bin/env bash
# Installs what the tests need beside Python, by the system's package manager; says what it could not install and what that costs.
set -uo pipefail

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
fonts() { command -v fc-list >/dev/null && [ -n "$(fc-list | grep -i 'NotoSansCJK\|NotoColorEmoji')" ]; }

wanted=()
browser >/dev/null || wanted+=(chromium)
fonts || wanted+=(fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji)
command -v dot >/dev/null || wanted+=(graphviz)
command -v java >/dev/null || wanted+=(openjdk-17-jre-headless)
[ ${#wanted[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    echo "installing ${wanted[*]}" >&2
    log=$(mktemp)
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1 || tail -5 "$log" >&2
    rm -f "$log"
fi

browser >/dev/null || echo "NOT INSTALLED: chromium. Cost: the tests that open the dashboard in a browser are skipped. (apt-get install chromium)" >&2
fonts || echo "NOT INSTALLED: Noto fonts. Cost: titles in some scripts show as boxes in screenshots. (apt-get install fonts-noto-cjk fonts-noto-color-emoji)" >&2
command -v dot >/dev/null || echo "NOT INSTALLED: graphviz. Cost: the architecture picture cannot be drawn anew; its test is skipped. (apt-get install graphviz)" >&2
command -v java >/dev/null || echo "NOT INSTALLED: Java 17. Cost: the tests of the Spark job are skipped. (apt-get install openjdk-17-jre-headless)" >&2
exit 0
