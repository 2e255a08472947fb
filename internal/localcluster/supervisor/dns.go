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

package supervisor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/localcluster/layout"
)

// What the install manifests call the cluster's DNS: the Service has the name
// that programs and people look for.
const (
	dnsNamespace = "kube-system"
	dnsService   = "kube-dns"
	dnsProgram   = "switchyard-dns" // and its DaemonSet
)

// queryTimeout bounds one query. The first may be sent before the node leads it
// anywhere.
const queryTimeout = 500 * time.Millisecond

// runProgram makes the DaemonSet of that name run the program at path, which
// an image would hold elsewhere.
func runProgram(objects []*unstructured.Unstructured, daemonSet, path string) error {
	for _, object := range objects {
		if object.GetKind() != "DaemonSet" || object.GetName() != daemonSet {
			continue
		}
		fields := []string{"spec", "template", "spec", "containers"}
		containers, _, err := unstructured.NestedSlice(object.Object, fields...)
		if err != nil {
			return err
		}
		for _, container := range containers {
			if container, ok := container.(map[string]any); ok {
				container["command"] = []any{path}
			}
		}
		return unstructured.SetNestedSlice(object.Object, containers, fields...)
	}
	return fmt.Errorf("the install manifests have no DaemonSet %s", daemonSet)
}

// namesResolved is the condition that each node has a DNS server of its own,
// and that both addresses of its Service answer there.
func (s *Supervisor) namesResolved(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	missing, err := s.nodesWithoutDNS(ctx)
	if err != nil {
		return err.Error()
	}
	if len(missing) > 0 {
		return "pods of DaemonSet " + dnsProgram + " on " + strings.Join(missing, ", ")
	}
	for _, node := range s.cluster.Nodes {
		for _, server := range layout.DNSAddrs() {
			if err := s.resolve(ctx, node, server); err != nil {
				return fmt.Sprintf("DNS server %s, asked from %s: %v", server, node.Name, err)
			}
		}
	}
	return ""
}

// nodesWithoutDNS are the nodes that have no endpoint of the DNS Service, of
// which there is one in each family.
func (s *Supervisor) nodesWithoutDNS(ctx context.Context) ([]string, error) {
	var list discoveryv1.EndpointSliceList
	err := s.client.List(ctx, &list, client.InNamespace(dnsNamespace), client.MatchingLabels{discoveryv1.LabelServiceName: dnsService})
	if err != nil {
		return nil, err
	}
	families := map[string]map[discoveryv1.AddressType]bool{}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.NodeName == nil || endpoint.Conditions.Ready == nil || !*endpoint.Conditions.Ready {
				continue
			}
			if families[*endpoint.NodeName] == nil {
				families[*endpoint.NodeName] = map[discoveryv1.AddressType]bool{}
			}
			families[*endpoint.NodeName][slice.AddressType] = true
		}
	}
	var missing []string
	for _, node := range s.cluster.Nodes {
		if len(families[node.Name]) < len(layout.DNSAddrs()) {
			missing = append(missing, node.Name)
		}
	}
	return missing, nil
}

// resolve asks a server for the API server's name, from the node.
func (s *Supervisor) resolve(ctx context.Context, node layout.Node, server netip.Addr) error {
	var conn net.Conn
	err := s.network.nodes[node.Name].Do(func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, "udp", netip.AddrPortFrom(server, 53).String())
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	const name = "kubernetes.default.svc." + layout.ClusterDomain + "."
	c := dns.Client{Timeout: queryTimeout}
	answer, _, err := c.ExchangeWithConnContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA), &dns.Conn{Conn: conn})
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
		return fmt.Errorf("%s has no address: %s", name, dns.RcodeToString[answer.Rcode])
	}
	return nil
}
