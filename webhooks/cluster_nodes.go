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

package webhooks

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NodesByAddress implements NodeReader, confirmed with the API server.
func (c *Cluster) NodesByAddress(ctx context.Context, addr netip.Addr) ([]*corev1.Node, error) {
	return c.confirmedNodes(ctx, indexNodeAddress, addr.String(), func(node *corev1.Node) bool {
		return slices.Contains(nodeAddrs(node), addr)
	})
}

// NodesByKubeletPort implements NodeReader.
func (c *Cluster) NodesByKubeletPort(ctx context.Context, port int32) ([]*corev1.Node, error) {
	return c.confirmedNodes(ctx, indexKubeletPort, fmt.Sprint(port), func(node *corev1.Node) bool {
		return node.Status.DaemonEndpoints.KubeletEndpoint.Port == port
	})
}

// Nodes implements NodeReader from the cache.
func (c *Cluster) Nodes(ctx context.Context) ([]*corev1.Node, error) {
	var list corev1.NodeList
	if err := c.list(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return pointers(list.Items), nil
}

func (c *Cluster) confirmedNodes(ctx context.Context, index, key string, holds func(*corev1.Node) bool) ([]*corev1.Node, error) {
	var list corev1.NodeList
	if err := c.list(ctx, &list, client.MatchingFields{index: key}); err != nil {
		return nil, fmt.Errorf("looking up nodes: %w", err)
	}
	return confirmed(ctx, c.Live, list.Items, func() *corev1.Node { return &corev1.Node{} }, holds)
}

// PodsByIP implements PodReader, confirmed with the API server.
func (c *Cluster) PodsByIP(ctx context.Context, addr netip.Addr) ([]*corev1.Pod, error) {
	return c.confirmedPods(ctx, indexPodIP, addr.String(), func(pod *corev1.Pod) bool {
		return slices.Contains(podAddrs(pod), addr)
	})
}

// NamespaceHasPod implements PodReader from the cache.
func (c *Cluster) NamespaceHasPod(ctx context.Context, namespace string, addr netip.Addr) (bool, error) {
	var list corev1.PodList
	if err := c.list(ctx, &list, client.InNamespace(namespace), client.MatchingFields{indexPodIP: addr.String()}, client.Limit(1)); err != nil {
		return false, fmt.Errorf("looking up the pods of namespace %s: %w", namespace, err)
	}
	return len(list.Items) > 0, nil
}

// PodsOfNamespaceByIP implements PodReader with a read past the cache: a
// controller may write an endpoint before our watch has told of its pod. The API
// server selects by a pod's first address only.
func (c *Cluster) PodsOfNamespaceByIP(ctx context.Context, namespace string, addr netip.Addr) ([]*corev1.Pod, error) {
	var list corev1.PodList
	if err := c.Live.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{"status.podIP": addr.String()}); err != nil {
		return nil, fmt.Errorf("looking up the pods of namespace %s: %w", namespace, err)
	}
	return slices.DeleteFunc(pointers(list.Items), func(pod *corev1.Pod) bool { return !slices.Contains(podAddrs(pod), addr) }), nil
}

// PodsByHostPort implements PodReader, confirmed with the API server.
func (c *Cluster) PodsByHostPort(ctx context.Context, port PortKey) ([]*corev1.Pod, error) {
	return c.confirmedPods(ctx, indexHostPort, port.String(), func(pod *corev1.Pod) bool {
		return slices.Contains(hostPorts(pod), port)
	})
}

func (c *Cluster) confirmedPods(ctx context.Context, index, key string, holds func(*corev1.Pod) bool) ([]*corev1.Pod, error) {
	var list corev1.PodList
	if err := c.list(ctx, &list, client.MatchingFields{index: key}); err != nil {
		return nil, fmt.Errorf("looking up pods: %w", err)
	}
	return confirmed(ctx, c.Live, list.Items, func() *corev1.Pod { return &corev1.Pod{} }, holds)
}

// nodeAddrs are the addresses of the node's status, without those of names.
func nodeAddrs(node *corev1.Node) []netip.Addr {
	var addrs []netip.Addr
	for _, address := range node.Status.Addresses {
		if addr, ok := parseAddr(address.Address); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// podCIDRs are the ranges that the node's pods get their addresses from, where
// kube-controller-manager gives them out. Other IPAM leaves them empty.
func podCIDRs(node *corev1.Node) []netip.Prefix {
	texts := node.Spec.PodCIDRs
	if len(texts) == 0 {
		texts = []string{node.Spec.PodCIDR}
	}
	var prefixes []netip.Prefix
	for _, text := range texts {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			prefixes = append(prefixes, prefix.Masked())
		}
	}
	return prefixes
}

// podAddrs are the addresses that are the pod's alone: none of one in its
// node's network, and none of one that is over.
func podAddrs(pod *corev1.Pod) []netip.Addr {
	if pod.Spec.HostNetwork || over(pod) {
		return nil
	}
	var addrs []netip.Addr
	for _, ip := range pod.Status.PodIPs {
		if addr, ok := parseAddr(ip.IP); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// over pods run no more, and what they occupied is free.
func over(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// hostPorts are the ports of its node that a pod declares: hostPort, and in the
// node's network every port. Only a kubelet can say that the pod is there: whose
// node's name is made up, or not taken in yet, listens nowhere.
func hostPorts(pod *corev1.Pod) []PortKey {
	if pod.Spec.NodeName == "" || pod.Status.StartTime == nil || over(pod) {
		return nil
	}
	var ports []PortKey
	for _, port := range podPorts(pod) {
		number := port.HostPort
		if number == 0 && pod.Spec.HostNetwork {
			number = port.ContainerPort
		}
		// At the node's loopback no traffic for a node port arrives.
		if addr, ok := parseAddr(port.HostIP); number != 0 && !(ok && addr.IsLoopback()) {
			ports = append(ports, PortKey{number, protocolOf(port.Protocol)})
		}
	}
	return ports
}
