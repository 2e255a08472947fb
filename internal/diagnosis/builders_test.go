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

package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// now is when the facts of tests are from; their objects are a day older.
var now = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// webFacts are of a Service with three ready pods on two nodes. What is changed
// before the slices are made is in the slices, too.
func webFacts() *Facts {
	f := &Facts{
		Name: types.NamespacedName{Namespace: "shop", Name: "web"},
		Now:  now,
		Service: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: ago(24 * time.Hour)},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.10", ClusterIPs: []string{"10.0.0.10"},
				IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Selector: map[string]string{"app": "web"},
				Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)}},
			},
		},
		Nodes: []*corev1.Node{node("n1"), node("n2")},
	}
	for i := range 3 {
		f.Selected = append(f.Selected, pod(fmt.Sprintf("web-%d", i+1), fmt.Sprintf("10.1.0.%d", i+1)))
	}
	return f
}

// pod is a ready one with one container, on n1 or n2.
func pod(name, ip string) *corev1.Pod {
	number := int(ip[len(ip)-1]-'0') % 2
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "web"}, CreationTimestamp: ago(24 * time.Hour)},
		Spec: corev1.PodSpec{NodeName: fmt.Sprintf("n%d", 2-number), Containers: []corev1.Container{{
			Name: "web", Image: "example.org/web:1", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(8080)}}},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
				{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)},
			},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "web", Ready: true, Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
}

func node(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
}

// eachPod changes all selected pods.
func (f *Facts) eachPod(change func(*corev1.Pod)) {
	for _, pod := range f.Selected {
		change(pod)
	}
}

// notReadyNow makes a pod unready with a container in that state.
func notReadyNow(pod *corev1.Pod, state corev1.ContainerState) {
	podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse
	pod.Status.ContainerStatuses[0].Ready = false
	pod.Status.ContainerStatuses[0].State = state
}

func probeFails(pod *corev1.Pod) {
	notReadyNow(pod, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// unscheduled is a pod that no node has room for.
func unscheduled(pod *corev1.Pod) {
	pod.Spec.NodeName = ""
	pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: corev1.PodReasonUnschedulable, Message: "0/2 nodes are available: 2 Insufficient cpu."}}}
}

// noPods moves the pods away from the selector.
func (f *Facts) noPods(change func(*corev1.Pod)) {
	f.eachPod(change)
	f.Others, f.Selected = f.Selected, nil
}

// follow makes the slices that a controller would.
func (f *Facts) follow() {
	if f.Service == nil || len(f.Service.Spec.Selector) == 0 {
		return
	}
	f.Slices = []*discoveryv1.EndpointSlice{}
	groups := map[string]*discoveryv1.EndpointSlice{}
	for _, pod := range f.Selected {
		for _, addr := range podAddrs(pod) {
			family := familyOf(addr)
			if ended(pod) || len(f.Service.Spec.IPFamilies) > 0 && !slices.Contains(f.Service.Spec.IPFamilies, family) {
				continue
			}
			var ports []discoveryv1.EndpointPort
			key := string(family)
			for i := range f.Service.Spec.Ports {
				port := &f.Service.Spec.Ports[i]
				if number, found := resolve(pod, port); found {
					ports = append(ports, discoveryv1.EndpointPort{Name: new(port.Name), Port: new(number), Protocol: new(protocolOf(port.Protocol))})
					key += fmt.Sprint(" ", i, number)
				}
			}
			if groups[key] == nil {
				groups[key] = slice(fmt.Sprintf("web-%d", len(groups)), sliceController, discoveryv1.AddressType(family), ports)
				f.Slices = append(f.Slices, groups[key])
			}
			ready, leaves := saysReady(pod), pod.DeletionTimestamp != nil
			groups[key].Endpoints = append(groups[key].Endpoints, discoveryv1.Endpoint{
				Addresses: []string{addr.String()}, NodeName: new(pod.Spec.NodeName), TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name},
				Conditions: discoveryv1.EndpointConditions{Ready: new(f.Service.Spec.PublishNotReadyAddresses || ready && !leaves), Serving: &ready, Terminating: &leaves},
			})
		}
	}
}

func slice(name, by string, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}, AddressType: family, Ports: ports}
	if by != "" {
		s.Labels[discoveryv1.LabelManagedBy] = by
	}
	return s
}

// byHand is a slice with one address and one port.
func byHand(by, ip, portName string, number int32) *discoveryv1.EndpointSlice {
	s := slice("web-by-hand", by, discoveryv1.AddressType(familyOf(netip.MustParseAddr(ip))), []discoveryv1.EndpointPort{{Name: &portName, Port: &number}})
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{ip}}}
	return s
}

// noSelector takes the selector and the pods away.
func (f *Facts) noSelectorNorPods() {
	f.Service.Spec.Selector, f.Selected = nil, nil
}

func policy(name string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec}
}

func labelled(pairs ...string) *metav1.LabelSelector {
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		selector.MatchLabels[pairs[i]] = pairs[i+1]
	}
	return selector
}

// clientPod is a pod of a namespace that wants to connect.
func clientPod(namespace string) *corev1.Pod {
	c := pod("client", "10.1.0.9")
	c.Namespace, c.Labels = namespace, map[string]string{"app": "client"}
	return c
}

// nodeClient is a node that wants to connect.
func nodeClient(name string) *Client {
	c := &Client{Pod: &corev1.Pod{Spec: corev1.PodSpec{NodeName: name, HostNetwork: true}}}
	c.Pod.Name, c.Pod.Status.PodIPs = name, []corev1.PodIP{{IP: "192.0.2.200"}}
	return c
}

// outcome is a change to the facts and what has to come of it.
type outcome struct {
	change func(*Facts)
	// after changes what the controller of slices has made.
	after func(*Facts)
	state State
	check Check
	want  Reason
	// message is a part of the step's.
	message string
	// says are parts of the verdict's sentence, details of the step's details.
	says, details []string
}

// examined runs a table of them.
func examined(t *testing.T, cases map[string]outcome) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := webFacts()
			if tc.change != nil {
				tc.change(f)
			}
			if f.Slices == nil {
				f.follow()
			}
			if tc.after != nil {
				tc.after(f)
			}
			tc.compare(t, Examine(f))
		})
	}
}

func (tc outcome) compare(t *testing.T, r *Report) {
	t.Helper()
	v := r.Verdict
	if v.State != tc.state || v.Reason != tc.want || tc.state != OK && v.Check != tc.check {
		t.Errorf("got %s %s of check %q, want %s %s of %q", v.State, v.Reason, v.Check, tc.state, tc.want, tc.check)
	}
	for _, part := range tc.says {
		if !strings.Contains(v.Sentence, part) {
			t.Errorf("%q is not in the sentence", part)
		}
	}
	step, _ := r.Step(tc.check)
	if !strings.Contains(step.Message, tc.message) {
		t.Errorf("%q is not in the step's message %q", tc.message, step.Message)
	}
	for _, part := range tc.details {
		if !strings.Contains(strings.Join(step.Details, "\n"), part) {
			t.Errorf("%q is not in the details %q", part, step.Details)
		}
	}
	if strings.ContainsRune(v.Sentence, '!') || !strings.HasSuffix(v.Sentence, ".") || strings.HasSuffix(v.Sentence, "..") || len(v.Sentence) > 3*maxMessage {
		t.Errorf("the sentence is no sentence")
	}
	if t.Failed() || testing.Verbose() {
		t.Log(v.Sentence)
		for _, step := range r.Steps {
			t.Logf("%-18s %-8s %s %s %q", step.Check, step.State, step.Reason, step.Message, step.Details)
		}
	}
}
