#!/usr/bin/env bash
# Installs what the tests need from a Debian or Ubuntu distribution, or names
# it where that is not possible. Does nothing when everything is there.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need nft nftables       # lists and reloads the ruleset in round-trip tests
need ip iproute2        # shows the machine's links and routes for comparison
need nsenter util-linux # runs programs inside a pod's or node's namespaces
need sysctl procps      # shows the machine's sysctls for comparison

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "Installing ${missing[*]} with apt-get"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
	echo "The tests need ${missing[*]}: install them as root (apt-get install ${missing[*]}), then run this again." >&2
	exit 1
fi
