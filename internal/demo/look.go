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
	"net"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const namespace = "demo"

func (b *Bed) service(ctx context.Context, name string) (*corev1.Service, error) {
	var s corev1.Service
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s)
	return &s, err
}

// readyPods waits for exactly n ready pods of an app and names them, sorted.
func (b *Bed) readyPods(ctx context.Context, app string, n int) ([]string, error) {
	var names []string
	err := b.eventually(ctx, func() error {
		var pods corev1.PodList
		if err := b.Client.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
			return err
		}
		names = names[:0]
		for i := range pods.Items {
			if ready(&pods.Items[i]) {
				names = append(names, pods.Items[i].Name)
			}
		}
		if len(names) != n {
			return fmt.Errorf("%d ready pods of %s, want %d", len(names), app, n)
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// frontAndBacks are the ready pods of the two apps.
func (b *Bed) frontAndBacks(ctx context.Context) (front, backs []string, err error) {
	if front, err = b.readyPods(ctx, "front", 1); err == nil {
		backs, err = b.readyPods(ctx, "back", 2)
	}
	return front, backs, err
}

func ready(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (b *Bed) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	var p corev1.Pod
	err := b.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &p)
	return &p, err
}

func (b *Bed) slices(ctx context.Context, service string) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := b.Client.List(ctx, &list, client.InNamespace(namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: service})
	return list.Items, err
}

// node is a node's name and its addresses, one per family.
type node struct {
	name      string
	addresses []string
}

func (b *Bed) nodes(ctx context.Context) ([]node, error) {
	var list corev1.NodeList
	if err := b.Client.List(ctx, &list); err != nil {
		return nil, err
	}
	var nodes []node
	for _, n := range list.Items {
		found := node{name: n.Name}
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP {
				found.addresses = append(found.addresses, a.Address)
			}
		}
		nodes = append(nodes, found)
	}
	return nodes, nil
}

// clusterIP is the Service's address of the family, v6 or not.
func clusterIP(s *corev1.Service, v6 bool) (string, error) {
	for _, text := range s.Spec.ClusterIPs {
		if a, err := netip.ParseAddr(text); err == nil && a.Is6() == v6 {
			return text, nil
		}
	}
	return "", fmt.Errorf("service %s has no ClusterIP of that family, only %v", s.Name, s.Spec.ClusterIPs)
}

func at(address string, port int32) string {
	return net.JoinHostPort(address, strconv.Itoa(int(port)))
}

func isIPv6(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is6()
}
