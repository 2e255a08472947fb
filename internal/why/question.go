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

// Parse reads SERVICE, NAMESPACE/SERVICE, svc/SERVICE or the Service's DNS name,
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
		return q, nil
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

func parseService(text, namespace string) (types.NamespacedName, error) {
	before, after, found := strings.Cut(text, "/")
	key := types.NamespacedName{Namespace: namespace, Name: text}
	switch {
	case found && slices.Contains([]string{"svc", "service", "services"}, before):
		key.Name = after
	case found:
		key = types.NamespacedName{Namespace: before, Name: after}
	case strings.Contains(text, "."):
		// What a program that could not connect has in its log.
		parts := strings.Split(strings.TrimSuffix(text, "."), ".")
		if len(parts) == 2 || len(parts) > 2 && parts[2] == "svc" {
			key = types.NamespacedName{Namespace: parts[1], Name: parts[0]}
		}
	}
	if len(validation.IsDNS1123Label(key.Name)) > 0 || len(validation.IsDNS1123Label(key.Namespace)) > 0 {
		return key, fmt.Errorf("%q is no Service: give NAME, NAMESPACE/NAME or svc/NAME, as `kubectl get services -A` lists them", text)
	}
	return key, nil
}

func parsePod(text, namespace string) (types.NamespacedName, error) {
	before, after, found := strings.Cut(text, "/")
	key := types.NamespacedName{Namespace: namespace, Name: text}
	switch {
	case found && slices.Contains([]string{"pod", "pods", "po"}, before):
		key.Name = after
	case found:
		key = types.NamespacedName{Namespace: before, Name: after}
	}
	if len(validation.IsDNS1123Subdomain(key.Name)) > 0 || len(validation.IsDNS1123Label(key.Namespace)) > 0 {
		return key, fmt.Errorf("--from %q: give POD, NAMESPACE/POD, node/NODE or an IP address", text)
	}
	return key, nil
}
