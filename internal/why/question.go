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

package why

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Question is what is asked.
type Question struct {
	Service types.NamespacedName
	// Pod, Node and Address say from where, at most one of them; none for anybody.
	Pod     types.NamespacedName
	Node    string
	Address netip.Addr
}

// Parse reads SERVICE, NAMESPACE/SERVICE, either after svc/, or the Service's DNS name,
// and for the client POD, NAMESPACE/POD, an IP address, or nothing. The
// namespace given is that of the flag, if there was one; own is that of the
// context. A client without a namespace is looked for where the Service is.
func Parse(service, from, given, own string) (Question, error) {
	var q Question
	var err error
	if q.Service, err = parseService(service, cmp.Or(given, own)); err != nil || from == "" {
		return q, err
	}
	if q.Address, err = netip.ParseAddr(from); err == nil {
		q.Address = q.Address.Unmap().WithZone("")
		return q, checkAddress(q.Address)
	}
	if kind, node, found := strings.Cut(from, "/"); found && slices.Contains([]string{"node", "nodes", "no"}, kind) {
		q.Node, err = node, nil
		if len(validation.IsDNS1123Subdomain(node)) > 0 {
			err = fmt.Errorf("--from %q: give node/NODE, as `kubectl get nodes` lists them", from)
		}
		return q, err
	}
	q.Pod, err = parsePod(from, cmp.Or(given, q.Service.Namespace))
	return q, err
}

// checkAddress refuses what nobody is known by beyond a machine or a wire.
func checkAddress(addr netip.Addr) error {
	if addr.IsLoopback() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
		return fmt.Errorf("--from %s: nobody is known by it in the cluster: give the client's own address", addr)
	}
	return nil
}

func parseService(text, namespace string) (types.NamespacedName, error) {
	if strings.Contains(text, ":") {
		return types.NamespacedName{}, fmt.Errorf("%q is no Service: give its name without a scheme and a port", text)
	}
	before, after, found := strings.Cut(text, "/")
	key := types.NamespacedName{Namespace: namespace, Name: text}
	switch {
	case found && slices.Contains([]string{"svc", "service", "services"}, before):
		key = withNamespace(after, namespace)
	case found:
		key = types.NamespacedName{Namespace: before, Name: after}
	case strings.Contains(text, "."):
		// What a program that could not connect has in its log: before the Service's
		// own name there may be that of a pod or a port.
		parts := strings.Split(strings.TrimSuffix(text, "."), ".")
		at := len(parts)
		if at > 2 {
			for at--; at >= 2 && parts[at] != "svc"; {
				at--
			}
		}
		if at >= 2 {
			key = types.NamespacedName{Namespace: parts[at-1], Name: parts[at-2]}
		}
	}
	if len(validation.IsDNS1123Label(key.Name)) > 0 || len(validation.IsDNS1123Label(key.Namespace)) > 0 {
		return key, fmt.Errorf("%q is no Service: give NAME, NAMESPACE/NAME or svc/NAME, as `kubectl get services -A` lists them", text)
	}
	return key, nil
}

// withNamespace is what kubectl's KIND/ is before.
func withNamespace(text, namespace string) types.NamespacedName {
	if before, after, found := strings.Cut(text, "/"); found {
		return types.NamespacedName{Namespace: before, Name: after}
	}
	return types.NamespacedName{Namespace: namespace, Name: text}
}

func parsePod(text, namespace string) (types.NamespacedName, error) {
	before, after, found := strings.Cut(text, "/")
	key := types.NamespacedName{Namespace: namespace, Name: text}
	switch {
	case found && slices.Contains([]string{"pod", "pods", "po"}, before):
		key = withNamespace(after, namespace)
	case found:
		key = types.NamespacedName{Namespace: before, Name: after}
	}
	if len(validation.IsDNS1123Subdomain(key.Name)) > 0 || len(validation.IsDNS1123Label(key.Namespace)) > 0 {
		return key, fmt.Errorf("--from %q: give POD, NAMESPACE/POD, node/NODE or an IP address", text)
	}
	return key, nil
}
