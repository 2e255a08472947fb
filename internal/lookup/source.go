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

package lookup

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Kind is what a connection comes from.
type Kind string

// The kinds of sources.
const (
	Pod     Kind = "pod"
	Node    Kind = "node"
	Outside Kind = "outside"
)

// Source is where a connection comes from.
type Source struct {
	Kind Kind
	// Namespace and Name are of the pod or node, empty for Outside.
	Namespace, Name string
	// Node is the name of the node that the connection starts on, empty for
	// Outside.
	Node string
	// HostNetwork is true for a pod that has its node's addresses.
	HostNetwork bool
	// Addrs holds at most one address of each family.
	Addrs []netip.Addr
}

// Of is the source's address of the same family as to, if it has one.
func (s Source) Of(to netip.Addr) (netip.Addr, bool) {
	for _, addr := range s.Addrs {
		if addr.Is4() == to.Is4() {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// FindSource reads POD, NAMESPACE/POD, NODE or an IP address; a pod without a
// namespace is one of the namespace given. An address that is no pod's and no
// node's is outside.
func FindSource(text, namespace string, pods []corev1.Pod, nodes []corev1.Node) (Source, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return sourceAt(addr.Unmap(), pods, nodes), nil
	}
	kind, name, found := strings.Cut(text, "/")
	switch {
	case found && (kind == "pod" || kind == "pods" || kind == "po"):
		return findPod(namespace, name, pods)
	case found && (kind == "node" || kind == "nodes" || kind == "no"):
		return findNode(name, nodes)
	case found:
		return findPod(kind, name, pods)
	}
	pod, podErr := findPod(namespace, text, pods)
	node, nodeErr := findNode(text, nodes)
	switch {
	case podErr == nil && nodeErr == nil:
		return Source{}, fmt.Errorf("%q is both a pod of namespace %s and a node: say pod/%s or node/%s", text, namespace, text, text)
	case podErr == nil:
		return pod, nil
	case nodeErr == nil:
		return node, nil
	}
	return Source{}, fmt.Errorf("%q is no pod of namespace %s, no node and no IP address: "+
		"give POD, NAMESPACE/POD, NODE or an address, as `kubectl get pods,nodes -o wide` lists them", text, namespace)
}

func findPod(namespace, name string, pods []corev1.Pod) (Source, error) {
	for i := range pods {
		if pods[i].Namespace == namespace && pods[i].Name == name {
			return ofPod(&pods[i])
		}
	}
	return Source{}, fmt.Errorf("there is no pod %s/%s", namespace, name)
}

func ofPod(pod *corev1.Pod) (Source, error) {
	s := Source{
		Kind: Pod, Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName,
		HostNetwork: pod.Spec.HostNetwork, Addrs: podAddrs(pod),
	}
	if ended(pod) {
		return Source{}, fmt.Errorf("pod %s/%s has ended (phase %s): its address may be another pod's by now", pod.Namespace, pod.Name, pod.Status.Phase)
	}
	if len(s.Addrs) == 0 {
		return Source{}, fmt.Errorf("pod %s/%s has no address (phase %s): it can not connect to anything yet", pod.Namespace, pod.Name, pod.Status.Phase)
	}
	return s, nil
}

func podAddrs(pod *corev1.Pod) []netip.Addr {
	texts := []string{pod.Status.PodIP}
	for _, ip := range pod.Status.PodIPs {
		texts = append(texts, ip.IP)
	}
	return onePerFamily(texts)
}

func findNode(name string, nodes []corev1.Node) (Source, error) {
	for i := range nodes {
		if nodes[i].Name == name {
			return Source{Kind: Node, Name: name, Node: name, Addrs: nodeAddrs(&nodes[i])}, nil
		}
	}
	return Source{}, fmt.Errorf("there is no node %s", name)
}

func nodeAddrs(node *corev1.Node) []netip.Addr {
	var texts []string
	for _, kind := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP} {
		for _, address := range node.Status.Addresses {
			if address.Type == kind {
				texts = append(texts, address.Address)
			}
		}
	}
	return onePerFamily(texts)
}

// onePerFamily takes the first valid address of each family.
func onePerFamily(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		addr = addr.Unmap()
		if err == nil && !hasFamily(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func hasFamily(addrs []netip.Addr, like netip.Addr) bool {
	for _, addr := range addrs {
		if addr.Is4() == like.Is4() {
			return true
		}
	}
	return false
}

// sourceAt finds whose the address is. Pods of the host network have their
// node's address, which is the node's.
func sourceAt(addr netip.Addr, pods []corev1.Pod, nodes []corev1.Node) Source {
	for i := range nodes {
		for _, address := range nodes[i].Status.Addresses {
			if own, err := netip.ParseAddr(address.Address); err == nil && own.Unmap() == addr {
				return Source{Kind: Node, Name: nodes[i].Name, Node: nodes[i].Name, Addrs: []netip.Addr{addr}}
			}
		}
	}
	for i := range pods {
		if pods[i].Spec.HostNetwork || ended(&pods[i]) {
			continue
		}
		if slices.Contains(podAddrs(&pods[i]), addr) {
			return Source{Kind: Pod, Namespace: pods[i].Namespace, Name: pods[i].Name, Node: pods[i].Spec.NodeName, Addrs: []netip.Addr{addr}}
		}
	}
	return Source{Kind: Outside, Addrs: []netip.Addr{addr}}
}

// ended pods keep the address that they had, which may be another's by now.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}
