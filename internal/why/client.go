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
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// NoClientError tells that there is no such client as the question names.
type NoClientError struct{ text string }

// Error says which, and what to give instead.
func (e *NoClientError) Error() string { return e.text }

// clientPod is the pod that was named. There is no answer for one that does not
// exist; one that may not be read is anybody.
func (r *reading) clientPod(ctx context.Context) error {
	pod := &corev1.Pod{}
	switch err := r.Reader.Get(ctx, r.Pod, pod); {
	case apierrors.IsNotFound(err):
		return &NoClientError{fmt.Sprintf("there is no pod %s: give POD, NAMESPACE/POD, node/NODE or an IP address to --from", r.Pod)}
	case err != nil:
		r.anybody("pod "+r.Pod.String(), err)
	default:
		r.facts.Client = &diagnosis.Client{Pod: pod}
	}
	return nil
}

func (r *reading) anybody(who string, err error) {
	reason := explain(err)
	if reason == mayNot {
		reason = "you may not read it"
	}
	r.gaps.add(gap{who, reason, forAnybody})
}

// clientNode is the node that asks. What of it may not be read is not known: the
// name is enough for its traffic policies.
func (r *reading) clientNode() error {
	for _, node := range r.facts.Nodes {
		if node.Name == r.Node {
			r.facts.Client = &diagnosis.Client{Pod: onHost(node)}
			return nil
		}
	}
	if _, unseen := r.gaps.unseen[diagnosis.Nodes]; !unseen && !r.externalName() {
		return &NoClientError{fmt.Sprintf("there is no node %s: give node/NODE to --from, as `kubectl get nodes` lists them", r.Node)}
	}
	unread := &corev1.Node{}
	unread.Name = r.Node
	r.facts.Client = &diagnosis.Client{Pod: onHost(unread)}
	return nil
}

// clientAt finds whose the address is: a node's, a pod's, or of somebody outside.
func (r *reading) clientAt(ctx context.Context) {
	if !r.Address.IsValid() {
		return
	}
	for _, node := range r.facts.Nodes {
		if slices.ContainsFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool { return same(a.Address, r.Address) }) {
			r.facts.Client = &diagnosis.Client{Pod: onHost(node)}
			return
		}
	}
	pod, sure := r.podAt(ctx)
	switch {
	case pod != nil:
		r.facts.Client = &diagnosis.Client{Pod: pod}
	case sure || !r.Address.IsPrivate():
		r.facts.Client = &diagnosis.Client{Address: r.Address}
	default:
		r.gaps.add(gap{"whose address " + r.Address.String() + " is", "you may not list the pods of all namespaces", forAnybody})
	}
}

// onHost stands for what runs on a node's own network.
func onHost(node *corev1.Node) *corev1.Pod {
	pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: node.Name, HostNetwork: true}}
	pod.Name = node.Name
	for _, address := range node.Status.Addresses {
		if _, err := netip.ParseAddr(address.Address); err == nil {
			pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: address.Address})
		}
	}
	return pod
}

func same(text string, addr netip.Addr) bool {
	own, err := netip.ParseAddr(text)
	return err == nil && own.Unmap() == addr
}

// podAt finds a pod by its first address, which the API server can look for, or
// by any among those of the node whose range has it. Sure is false if there may
// be one that could not be seen.
func (r *reading) podAt(ctx context.Context) (pod *corev1.Pod, sure bool) {
	byAddress := client.MatchingFields{"status.podIP": r.Address.String()}
	pod, err := r.findPod(ctx, byAddress)
	if apierrors.IsForbidden(err) {
		pod, _ = r.findPod(ctx, byAddress, client.InNamespace(r.Service.Namespace))
	}
	if pod != nil || err != nil {
		return pod, pod != nil
	}
	for _, node := range r.facts.Nodes {
		if slices.ContainsFunc(node.Spec.PodCIDRs, func(text string) bool {
			prefix, err := netip.ParsePrefix(text)
			return err == nil && prefix.Contains(r.Address)
		}) {
			pod, err = r.findPod(ctx, client.MatchingFields{"spec.nodeName": node.Name})
			return pod, err == nil
		}
	}
	return nil, true
}

// findPod is the one among those listed that has the address now.
func (r *reading) findPod(ctx context.Context, options ...client.ListOption) (found *corev1.Pod, err error) {
	err = pages(ctx, r.Reader, &corev1.PodList{}, func(page *corev1.PodList) bool {
		for i := range page.Items {
			pod := &page.Items[i]
			ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
			has := same(pod.Status.PodIP, r.Address) || slices.ContainsFunc(pod.Status.PodIPs, func(ip corev1.PodIP) bool { return same(ip.IP, r.Address) })
			if has && !ended && !pod.Spec.HostNetwork {
				found = pod
			}
		}
		return found == nil
	}, options...)
	return found, err
}
