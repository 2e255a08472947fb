/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package leftovers

import "strings"

// proxyTable is the table of kube-proxy's nftables mode, in each family.
const proxyTable = "kube-proxy"

// iptablesTables are those that the other modes write to.
var iptablesTables = map[string]bool{"nat": true, "filter": true, "mangle": true}

// proxyChains are chains of the iptables and ipvs modes. KUBE-FIREWALL,
// KUBE-IPTABLES-HINT and KUBE-KUBELET-CANARY are kubelet's: the first one guards
// 127.0.0.0/8, where kube-proxy has set route_localnet.
var proxyChains = map[string]bool{
	"KUBE-SERVICES": true, "KUBE-EXTERNAL-SERVICES": true, "KUBE-NODEPORTS": true, "KUBE-POSTROUTING": true,
	"KUBE-MARK-MASQ": true, "KUBE-FORWARD": true, "KUBE-PROXY-FIREWALL": true, "KUBE-PROXY-CANARY": true,
	"KUBE-SOURCE-RANGES-FIREWALL": true, "KUBE-NODE-PORT": true, "KUBE-LOAD-BALANCER": true,
	"KUBE-IPVS-FILTER": true, "KUBE-IPVS-OUT-FILTER": true,
}

// What the chain marking marks is masqueraded in the other one, and nowhere else.
var marking, masquerading = place{"nat", "KUBE-MARK-MASQ"}, place{"nat", "KUBE-POSTROUTING"}

// proxyChainPrefixes are those of chains for a Service or an endpoint; the last
// was in use before Kubernetes 1.24.
var proxyChainPrefixes = []string{"KUBE-SVC-", "KUBE-SVL-", "KUBE-FW-", "KUBE-EXT-", "KUBE-SEP-", "KUBE-XLB-"}

func isProxyChain(name string) bool {
	if proxyChains[name] {
		return true
	}
	for _, prefix := range proxyChainPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// proxySets are the ipsets of the ipvs mode; in IPv6 they begin with KUBE-6-.
var proxySets = map[string]bool{
	"LOOP-BACK": true, "CLUSTER-IP": true, "EXTERNAL-IP": true, "EXTERNAL-IP-LOCAL": true, "LOAD-BALANCER": true,
	"LOAD-BALANCER-LOCAL": true, "LOAD-BALANCER-FW": true, "LOAD-BALANCER-SOURCE-IP": true, "LOAD-BALANCER-SOURCE-CIDR": true,
	"NODE-PORT-TCP": true, "NODE-PORT-LOCAL-TCP": true, "NODE-PORT-UDP": true, "NODE-PORT-LOCAL-UDP": true,
	"NODE-PORT-SCTP-HASH": true, "NODE-PORT-LOCAL-SCTP-HASH": true, "HEALTH-CHECK-NODE-PORT": true, "IPVS-IPS": true,
}

// setNameLength is what the kernel has room for; kube-proxy cuts longer names.
const setNameLength = 31

func isProxySet(name string) bool {
	for short := range proxySets {
		v6 := "KUBE-6-" + short
		if name == "KUBE-"+short || name == v6[:min(len(v6), setNameLength)] {
			return true
		}
	}
	return false
}

// ipvsDevice holds every ClusterIP in the ipvs mode.
const ipvsDevice = "kube-ipvs0"
