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

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/probe"
	"switchyard.dev/switchyard/test/examples"
)

// comesTo makes real connections and compares what comes of them.
func comesTo(t *testing.T, e *examples.Example, c examples.Connection) error {
	address, err := addressOf(t, e, c)
	if err != nil {
		return err
	}
	count := 1
	if c.Outcome == "some" {
		count = 30
	}
	args := append(placeOf(e, c.From), "--", switchyard(), "probe", "--protocol", c.Protocol, "--timeout", "500ms",
		"--count", strconv.Itoa(count), "-o", "json", address)
	out, problems, code := cli(t, append([]string{"exec"}, args...)...)
	var answers []probe.Answer
	if err := json.Unmarshal([]byte(out), &answers); err != nil {
		return fmt.Errorf("probing %s from %s: exit code %d, %w: %s%s", address, c.From, code, err, out, problems)
	}
	outcomes := map[string]int{}
	for _, a := range answers {
		outcomes[string(a.Outcome)]++
	}
	answered := outcomes[string(probe.Answered)]
	if c.Outcome == "some" && 0 < answered && answered < count || outcomes[c.Outcome] == count {
		return nil
	}
	return fmt.Errorf("connections from %s to %s (%s) came to %v, want %s", c.From, address, c.Protocol, outcomes, c.Outcome)
}

// placeOf is the place as `switchyard exec` takes it.
func placeOf(e *examples.Example, from string) []string {
	namespace, pod, elsewhere := strings.Cut(from, "/")
	switch {
	case from == "outside":
		return []string{"--outside"}
	case strings.HasPrefix(from, "node-"):
		return []string{"--node", from}
	case elsewhere:
		return []string{"-n", namespace, pod}
	}
	return []string{"-n", e.Name, from}
}

// addressOf is where a connection goes.
func addressOf(t *testing.T, e *examples.Example, c examples.Connection) (string, error) {
	var service corev1.Service
	if err := bed.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Name, Name: c.Service}, &service); err != nil {
		return "", err
	}
	switch spec := &service.Spec; {
	case c.Where == "":
		return net.JoinHostPort(spec.ClusterIP, c.Port), nil
	case c.Where == "IPv6":
		for i, family := range spec.IPFamilies {
			if family == corev1.IPv6Protocol {
				return net.JoinHostPort(spec.ClusterIPs[i], c.Port), nil
			}
		}
	case c.Where == "external" && len(spec.ExternalIPs) > 0:
		return net.JoinHostPort(spec.ExternalIPs[0], c.Port), nil
	case c.Where == "lb" && len(service.Status.LoadBalancer.Ingress) > 0:
		return net.JoinHostPort(service.Status.LoadBalancer.Ingress[0].IP, c.Port), nil
	case c.Where == "pod":
		return podOf(t, &service, c.Port)
	case strings.HasPrefix(c.Where, "node-"):
		return nodePortOf(t, &service, c)
	}
	return "", fmt.Errorf("Service %s has no address %q", c.Service, c.Where)
}

// podOf is an endpoint that the Service's name leads to.
func podOf(t *testing.T, service *corev1.Service, port string) (string, error) {
	var slices discoveryv1.EndpointSliceList
	if err := bed.Client.List(t.Context(), &slices, client.InNamespace(service.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service.Name}); err != nil {
		return "", err
	}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			return net.JoinHostPort(endpoint.Addresses[0], port), nil
		}
	}
	return "", fmt.Errorf("Service %s has no endpoint", service.Name)
}

func nodePortOf(t *testing.T, service *corev1.Service, c examples.Connection) (string, error) {
	var node corev1.Node
	if err := bed.Client.Get(t.Context(), client.ObjectKey{Name: c.Where}, &node); err != nil {
		return "", err
	}
	for _, port := range service.Spec.Ports {
		if strconv.Itoa(int(port.Port)) != c.Port || port.NodePort == 0 {
			continue
		}
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				return net.JoinHostPort(address.Address, strconv.Itoa(int(port.NodePort))), nil
			}
		}
	}
	return "", fmt.Errorf("Service %s has no NodePort for %s on %s", c.Service, c.Port, c.Where)
}
