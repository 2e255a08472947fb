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

package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

var nodePortChecks = []Check{
	{"a NodePort chosen by the cluster, on every node", chosenNodePort},
	{"NodePort 31000 as asked for, on every node", fixedNodePort},
	{"three named ports at 30475, 31261 and 30013", threePorts},
}

func chosenNodePort(ctx context.Context, b *Bed) (string, error) {
	return b.nodePorts(ctx, "nodeport-auto", "back", 2)
}

func fixedNodePort(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "nodeport-fixed")
	if err != nil {
		return "", err
	}
	if got := s.Spec.Ports[0].NodePort; got != 31000 {
		return "", fmt.Errorf("NodePort is %d", got)
	}
	return b.nodePorts(ctx, "nodeport-fixed", "back", 2)
}

func threePorts(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "three-ports")
	if err != nil {
		return "", err
	}
	for i, want := range []int32{30475, 31261, 30013} {
		if got := s.Spec.Ports[i].NodePort; got != want {
			return "", fmt.Errorf("port %s has NodePort %d, want %d", s.Spec.Ports[i].Name, got, want)
		}
	}
	return b.nodePorts(ctx, "three-ports", "multi", 1)
}

// nodePorts reaches each NodePort of the Service on each address of each node,
// from outside and from every node.
func (b *Bed) nodePorts(ctx context.Context, service, app string, replicas int) (string, error) {
	s, err := b.service(ctx, service)
	if err != nil {
		return "", err
	}
	pods, err := b.readyPods(ctx, app, replicas)
	if err != nil {
		return "", err
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	from := []Place{Outside}
	for _, n := range nodes {
		from = append(from, Place{Node: n.name})
	}
	reached := 0
	for _, place := range from {
		for _, address := range reachable(nodes, s) {
			for _, p := range s.Spec.Ports {
				if err := b.answers(ctx, place, at(address, p.NodePort), pods); err != nil {
					return "", err
				}
				reached++
			}
		}
	}
	return fmt.Sprintf("%s: %d ways from outside and %d nodes", portList(s), reached, len(nodes)), nil
}

// reachable are the nodes' addresses of the Service's families.
func reachable(nodes []node, s *corev1.Service) []string {
	var addresses []string
	for _, n := range nodes {
		for _, a := range n.addresses {
			if _, err := clusterIP(s, isIPv6(a)); err == nil {
				addresses = append(addresses, a)
			}
		}
	}
	return addresses
}

func portList(s *corev1.Service) string {
	var ports []string
	for _, p := range s.Spec.Ports {
		ports = append(ports, strconv.Itoa(int(p.NodePort)))
	}
	return strings.Join(ports, " ")
}
