#!/usr/bin/env bash
# Installs what the tests need from a Debian or Ubuntu distribution, or names
# it where that is not possible. Does nothing when everything is there.
set -euo pipefail
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
need nft nftables       # lists and reloads the ruleset in round-trip tests
need iptables iptables  # what kube-proxy's mode of that name runs
need ip iproute2        # shows the machine's links and routes for comparison
need nsenter util-linux # runs programs inside a pod's or node's namespaces
need jq jq              # what pages pipe JSON to
need curl curl          # asks pages of agents inside their nodes
need sysctl procps      # shows the machine's sysctls for comparison
need bird bird2         # announces routes in tests of it
need vtysh frr          # the same

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "Installing ${missing[*]} with apt-get"
	# The tests run their own routing daemons; the machine's routes are not theirs.
	for daemon in bird2:bird frr:frr; do
		unit=/etc/systemd/system/${daemon#*:}.service
		if [[ " ${missing[*]} " == *" ${daemon%:*} "* && ! -e $unit && ! -L $unit ]]; then
			mkdir -p "${unit%/*}"
			ln -s /dev/null "$unit"
			echo "Masked ${unit##*/}: systemctl unmask it if this machine is to route"
		fi
	done
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
	echo "The tests need ${missing[*]}: install them as root (apt-get install ${missing[*]}), then run this again." >&2
	exit 1
fi
