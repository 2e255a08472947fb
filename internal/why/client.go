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
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
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
		r.anybody("pod "+r.Pod.String(), "you may not read it", err, diagnosis.ClientName{Pod: &diagnosis.Name{Namespace: r.Pod.Namespace, Name: r.Pod.Name}})
	default:
		r.facts.Client = &diagnosis.Client{Pod: pod}
	}
	return nil
}

// anybody is who asks where the client that was meant can not be known.
func (r *reading) anybody(who, without string, err error, asked diagnosis.ClientName) {
	reason := explain(err)
	if reason == mayNot {
		reason = without
	}
	asked.Unseen = reason
	r.facts.ClientUnseen = &asked
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
// Outside is only who is nobody inside: pods may have addresses that are not
// private, too.
func (r *reading) clientAt(ctx context.Context) error {
	if !r.Address.IsValid() {
		return nil
	}
	for _, node := range r.facts.Nodes {
		if slices.ContainsFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool { return same(a.Address, r.Address) }) {
			r.facts.Client = &diagnosis.Client{Pod: onHost(node)}
			return nil
		}
	}
	if service, is := r.serviceAt(ctx); is {
		return &NoClientError{fmt.Sprintf("%s is the ClusterIP of Service %s, from which nothing connects: "+
			"give the address of a pod, a node or somebody outside to --from", r.Address, service)}
	}
	pod, err := r.podAt(ctx)
	asked, who := diagnosis.ClientName{Address: r.Address.String()}, "whose address "+r.Address.String()+" is"
	why, unseen := r.gaps.unseen[diagnosis.Nodes]
	switch {
	case pod != nil:
		r.facts.Client = &diagnosis.Client{Pod: pod}
	case err != nil:
		r.anybody(who, "you may not list the pods of all namespaces", err, asked)
	case unseen:
		r.anybody(who, "", fmt.Errorf("nodes could not be read: %s", why), asked)
	default:
		r.facts.Client = &diagnosis.Client{Address: r.Address}
	}
	return nil
}

// serviceAt is the Service whose ClusterIP the address is: this one, or another
// that has a record of it.
func (r *reading) serviceAt(ctx context.Context) (types.NamespacedName, bool) {
	own := &r.facts.Service.Spec
	if slices.ContainsFunc(append(slices.Clone(own.ClusterIPs), own.ClusterIP), func(ip string) bool { return same(ip, r.Address) }) {
		return r.Service, true
	}
	record := &networkingv1.IPAddress{}
	err := r.Reader.Get(ctx, types.NamespacedName{Name: r.Address.String()}, record)
	parent := record.Spec.ParentRef
	if err != nil || parent == nil || parent.Resource != "services" {
		return types.NamespacedName{}, false // who may not read it asks for an address that is nobody's, at worst
	}
	return types.NamespacedName{Namespace: parent.Namespace, Name: parent.Name}, true
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
// by any among those of the node whose range has it. With an error there may be one
// that could not be seen.
func (r *reading) podAt(ctx context.Context) (*corev1.Pod, error) {
	byAddress := client.MatchingFields{"status.podIP": r.Address.String()}
	pod, err := r.findPod(ctx, byAddress)
	if apierrors.IsForbidden(err) {
		pod, _ = r.findPod(ctx, byAddress, client.InNamespace(r.Service.Namespace))
	}
	if pod != nil || err != nil {
		return pod, err
	}
	for _, node := range r.facts.Nodes {
		if slices.ContainsFunc(node.Spec.PodCIDRs, func(text string) bool {
			prefix, err := netip.ParsePrefix(text)
			return err == nil && prefix.Contains(r.Address)
		}) {
			return r.findPod(ctx, client.MatchingFields{"spec.nodeName": node.Name})
		}
	}
	return nil, nil
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
