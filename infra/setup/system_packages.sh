#!/usr/bin/env bash
# Installs the system packages of the tests; reports what it could not install, and the consequence.
set -uo pipefail

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
fonts() { command -v fc-list >/dev/null && [ -n "$(fc-list | grep -i 'NotoSansCJK\|NotoColorEmoji')" ]; }

wanted=()
browser >/dev/null || wanted+=(chromium)
fonts || wanted+=(fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji)
command -v dot >/dev/null || wanted+=(graphviz)
command -v java >/dev/null || wanted+=(openjdk-17-jre-headless)
command -v gcc >/dev/null || wanted+=(gcc libc6-dev)

# Only promtool is taken out of its package: installing it would start a Prometheus and add a dozen packages for its pages.
take_promtool() (
    folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT && chmod 755 "$folder" && cd "$folder" || exit 1
    apt-get download prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && install usr/bin/promtool /usr/local/bin/
)

needs_packages() { [ ${#wanted[@]} -gt 0 ] || ! command -v promtool >/dev/null; }

if needs_packages && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    log=$(mktemp)
    apt-get update >"$log" 2>&1 || tail -5 "$log" >&2
    if [ ${#wanted[@]} -gt 0 ]; then
        echo "installing ${wanted[*]}" >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}" >"$log" 2>&1 || tail -5 "$log" >&2
    fi
    if ! command -v promtool >/dev/null; then
        echo "installing promtool" >&2
        take_promtool >"$log" 2>&1 || tail -5 "$log" >&2
    fi
    rm -f "$log"
fi

browser >/dev/null || echo "NOT INSTALLED: chromium. Cost: the tests that open the dashboard in a browser are skipped. (apt-get install chromium)" >&2
fonts || echo "NOT INSTALLED: Noto fonts. Cost: titles in some scripts show as boxes in screenshots. (apt-get install fonts-noto-cjk fonts-noto-color-emoji)" >&2
command -v dot >/dev/null || echo "NOT INSTALLED: graphviz. Cost: the architecture diagram cannot be regenerated; its test is skipped. (apt-get install graphviz)" >&2
command -v java >/dev/null || echo "NOT INSTALLED: Java 17. Cost: the tests of the Spark job are skipped. (apt-get install openjdk-17-jre-headless)" >&2
command -v promtool >/dev/null || echo "NOT INSTALLED: promtool. Cost: the test that tries each alarm is skipped. (apt-get install prometheus, which starts one)" >&2
command -v gcc >/dev/null || echo "NOT INSTALLED: gcc. Cost: the tests of a broker whose clock jumps are skipped. (apt-get install gcc libc6-dev)" >&2
command -v go >/dev/null || echo "NOT INSTALLED: Go 1.21 or later. Cost: the test of franz-go as a producer is skipped. (https://go.dev/dl)" >&2
exit 0
