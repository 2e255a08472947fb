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

package runner

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// resolvConf is the Pod's /etc/resolv.conf, after its dnsPolicy; machine is
// this machine's own, for Pods that want it.
func resolvConf(pod *corev1.Pod, domain string, servers []netip.Addr, machine string) string {
	var text string
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork {
		policy = corev1.DNSDefault
	}
	switch policy {
	case corev1.DNSNone:
	case corev1.DNSDefault:
		text = machine
	default:
		text = ClusterFirst(pod.Namespace, domain, servers)
	}
	return withDNSConfig(text, pod.Spec.DNSConfig)
}

// ClusterFirst is the resolv.conf of most Pods of a namespace.
func ClusterFirst(namespace, domain string, servers []netip.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, "search %s.svc.%s svc.%s %s\n", namespace, domain, domain, domain)
	for _, server := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	b.WriteString("options ndots:5\n")
	return b.String()
}

// withDNSConfig merges as a kubelet does: servers and searches are added,
// options replace those of the same name.
func withDNSConfig(text string, config *corev1.PodDNSConfig) string {
	if config == nil {
		return text
	}
	var servers, searches []string
	var options []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			servers = append(servers, fields[1])
		case "search":
			searches = append(searches, fields[1:]...)
		case "options":
			options = append(options, fields[1:]...)
		}
	}
	for _, option := range config.Options {
		options = slices.DeleteFunc(options, func(o string) bool { return o == option.Name || strings.HasPrefix(o, option.Name+":") })
		if option.Value != nil {
			options = append(options, option.Name+":"+*option.Value)
		} else {
			options = append(options, option.Name)
		}
	}
	servers, searches = unique(servers, config.Nameservers), unique(searches, config.Searches)
	var b strings.Builder
	if len(searches) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(searches, " "))
	}
	for _, server := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.String()
}

func unique(lists ...[]string) []string {
	var all []string
	for _, value := range slices.Concat(lists...) {
		if !slices.Contains(all, value) {
			all = append(all, value)
		}
	}
	return all
}

// hostsFile is the Pod's /etc/hosts.
func hostsFile(pod *corev1.Pod, domain string, ips []netip.Addr) string {
	var b strings.Builder
	b.WriteString("# Written by the node runner for this Pod\n" +
		"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n")
	name := hostname(pod)
	for _, ip := range ips {
		if pod.Spec.Subdomain != "" {
			fmt.Fprintf(&b, "%s\t%s.%s.%s.svc.%s\t%s\n", ip, name, pod.Spec.Subdomain, pod.Namespace, domain, name)
		} else {
			fmt.Fprintf(&b, "%s\t%s\n", ip, name)
		}
	}
	for _, alias := range pod.Spec.HostAliases {
		fmt.Fprintf(&b, "%s\t%s\n", alias.IP, strings.Join(alias.Hostnames, "\t"))
	}
	return b.String()
}
