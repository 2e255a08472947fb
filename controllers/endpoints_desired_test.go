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

package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/internal/subsets/subsetstest"
)

// testService selects pods and offers TCP 80 to target.
func testService(target intstr.IntOrString, changes ...func(*corev1.Service)) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Labels: map[string]string{"team": "blue"}},
		Spec: corev1.ServiceSpec{
			ClusterIP:  "10.96.0.9",
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Selector:   map[string]string{"app": "web"},
			Ports:      []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: target}},
		},
	}
	for _, change := range changes {
		change(service)
	}
	return service
}

// testPod is ready on node n, with a name and UID after its address.
func testPod(ip string, changes ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod-" + ip, UID: types.UID("uid-" + ip)},
		Spec:       corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{
			PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, change := range changes {
		change(pod)
	}
	return pod
}

func unreadyPod(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }
func dyingPod(pod *corev1.Pod)   { pod.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }

func podPort(name string, number int32, protocol corev1.Protocol) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		ports := &pod.Spec.Containers[0].Ports
		*ports = append(*ports, corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: protocol})
	}
}

func TestDesiredEndpointsSubsets(t *testing.T) {
	number, name := intstr.FromInt32(8080), intstr.FromString("http")
	headless := func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }
	publish := func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true }
	cases := map[string]struct {
		service *corev1.Service
		pods    []*corev1.Pod
		want    []string
	}{
		"ready and other pods are told apart": {
			testService(number), []*corev1.Pod{testPod("10.0.0.2", unreadyPod), testPod("10.0.0.1")},
			[]string{"10.0.0.1 !10.0.0.2 @ http:8080/TCP"},
		},
		"a pod at its end, without an address or on its way out does not count": {
			testService(number), []*corev1.Pod{
				testPod("10.0.0.1", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
				testPod("10.0.0.2", func(p *corev1.Pod) { p.Status.PodIP, p.Status.PodIPs = "", nil }),
				testPod("10.0.0.3", dyingPod),
			}, []string{},
		},
		"publishNotReadyAddresses takes unready and terminating pods for ready": {
			testService(number, publish), []*corev1.Pod{testPod("10.0.0.1", unreadyPod), testPod("10.0.0.2", dyingPod)},
			[]string{"10.0.0.1 10.0.0.2 @ http:8080/TCP"},
		},
		"a named port has each pod's own number": {
			testService(name), []*corev1.Pod{
				testPod("10.0.0.1", podPort("http", 8080, corev1.ProtocolTCP)),
				testPod("10.0.0.2", podPort("http", 9090, corev1.ProtocolTCP)),
			}, []string{"10.0.0.1 @ http:8080/TCP", "10.0.0.2 @ http:9090/TCP"},
		},
		"a named port of another protocol does not resolve, and its pod disappears": {
			testService(name), []*corev1.Pod{testPod("10.0.0.1", podPort("http", 8080, corev1.ProtocolUDP))}, []string{},
		},
		"two ports of the same pods share a subset": {
			testService(number, func(s *corev1.Service) {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromInt32(5353)})
			}),
			[]*corev1.Pod{testPod("10.0.0.1")}, []string{"10.0.0.1 @ dns:5353/UDP http:8080/TCP"},
		},
		"a headless Service needs no port": {
			testService(number, headless, func(s *corev1.Service) { s.Spec.Ports = nil }),
			[]*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.2", unreadyPod)}, []string{"10.0.0.1 !10.0.0.2 @"},
		},
		"only the first family counts, and addresses are spelled canonically": {
			testService(number, func(s *corev1.Service) {
				s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
			}),
			[]*corev1.Pod{
				testPod("10.0.0.1", func(p *corev1.Pod) {
					p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "FD00:0:0::0001"})
				}),
				testPod("10.0.0.2"),
			}, []string{"fd00::1 @ http:8080/TCP"},
		},
		"without families the ClusterIP tells the family": {
			testService(number, func(s *corev1.Service) { s.Spec.IPFamilies, s.Spec.ClusterIP = nil, "fd00::9" }),
			[]*corev1.Pod{testPod("10.0.0.1"), testPod("fd00::1")}, []string{"fd00::1 @ http:8080/TCP"},
		},
		"without families or ClusterIP the pod tells the family": {
			testService(number, headless, func(s *corev1.Service) { s.Spec.IPFamilies = nil }),
			[]*corev1.Pod{testPod("10.0.0.1"), testPod("fd00::1")}, []string{"10.0.0.1 fd00::1 @ http:8080/TCP"},
		},
		"pods on the host network share an address and stay apart": {
			testService(number), []*corev1.Pod{testPod("10.0.0.1"), testPod("10.0.0.1", func(p *corev1.Pod) { p.UID = "uid-b" })},
			[]string{"10.0.0.1 10.0.0.1 @ http:8080/TCP"},
		},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, subsetstest.Spell(desiredEndpoints(nil, tc.service, tc.pods).Subsets)); diff != "" {
				t.Errorf("subsets (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDesiredEndpointsKeepsWhatIsNotOurs(t *testing.T) {
	current := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "web", ResourceVersion: "7",
		Labels: map[string]string{"stale": "label", corev1.IsHeadlessService: ""},
		Annotations: map[string]string{"note": "kept", corev1.EndpointsOverCapacity: overCapacityTruncated,
			corev1.EndpointsLastChangeTriggerTime: "2020-01-01T00:00:00Z"},
	}}
	got := desiredEndpoints(current, testService(intstr.FromInt32(80)), []*corev1.Pod{testPod("10.0.0.1", func(p *corev1.Pod) {
		p.Spec.Hostname, p.Spec.Subdomain = "zero", "web"
	})})
	setTriggerTime(got, time.Time{})
	want := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web", ResourceVersion: "7",
			Labels:      map[string]string{"team": "blue", endpointsManagedByLabel: EndpointsControllerName},
			Annotations: map[string]string{"note": "kept"},
		},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{
				IP: "10.0.0.1", Hostname: "zero", NodeName: new("n"),
				TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "pod-10.0.0.1", UID: "uid-10.0.0.1"},
			}},
			Ports: []corev1.EndpointPort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Endpoints (-want +got):\n%s", diff)
	}
	if current.Annotations[corev1.EndpointsOverCapacity] == "" {
		t.Error("the current object was modified")
	}
	setTriggerTime(got, time.Unix(1, 500).In(time.FixedZone("there", 3600)))
	if stamp := got.Annotations[corev1.EndpointsLastChangeTriggerTime]; stamp != "1970-01-01T00:00:01.0000005Z" {
		t.Errorf("trigger time %q", stamp)
	}
}

// TestDesiredEndpointsNamesNoNodeThatIsNone, nor one in the cache.
func TestDesiredEndpointsNamesNoNodeThatIsNone(t *testing.T) {
	for node, want := range map[string]*string{"": nil, "n": new("n")} {
		pod := testPod("10.0.0.1", func(p *corev1.Pod) { p.Spec.NodeName = node })
		got := desiredEndpoints(nil, testService(intstr.FromInt32(80)), []*corev1.Pod{pod}).Subsets[0].Addresses[0].NodeName
		if diff := cmp.Diff(want, got); diff != "" || got == &pod.Spec.NodeName {
			t.Errorf("node %q: shared with the pod %t (-want +got):\n%s", node, got == &pod.Spec.NodeName, diff)
		}
	}
}

func TestDesiredEndpointsStaysWithinAThousandAddresses(t *testing.T) {
	var pods []*corev1.Pod
	for i := range 1100 {
		pod := testPod(fmt.Sprintf("10.0.%d.%d", i/250, i%250))
		if i >= 900 {
			unreadyPod(pod)
		}
		pods = append(pods, pod)
	}
	service := testService(intstr.FromInt32(80))
	over := desiredEndpoints(nil, service, pods)
	ready, notReady := 0, 0
	for _, subset := range over.Subsets {
		ready, notReady = ready+len(subset.Addresses), notReady+len(subset.NotReadyAddresses)
	}
	if ready != 900 || notReady != 100 || over.Annotations[corev1.EndpointsOverCapacity] != overCapacityTruncated {
		t.Errorf("%d ready and %d other addresses, annotations %v", ready, notReady, over.Annotations)
	}
	if !endpointsEqual(over, desiredEndpoints(over, service, pods)) {
		t.Error("a truncated object is written again and again")
	}
	under := desiredEndpoints(over, service, pods[:1000])
	if _, truncated := under.Annotations[corev1.EndpointsOverCapacity]; truncated {
		t.Error("the annotation stays although everything fits")
	}
}

func TestWriteTrackerTellsStaleVersionsFromEchoes(t *testing.T) {
	version := func(v string) *corev1.Endpoints {
		return &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", ResourceVersion: v}}
	}
	tracker := newWriteTracker()
	tracker.wrote(version("1"), version("2"))
	if !tracker.superseded(version("1")) || tracker.superseded(version("2")) || tracker.superseded(version("3")) {
		t.Error("only the version before the write is superseded")
	}
	if !tracker.isOwn(version("2")) || tracker.isOwn(version("3")) {
		t.Error("only the version we wrote is our own")
	}
	tracker.wrote(version("2"), version("2"))
	if tracker.superseded(version("2")) {
		t.Error("a write without effect makes its own version stale")
	}
	tracker.forget(types.NamespacedName{Namespace: "default", Name: "web"})
	if tracker.isOwn(version("2")) {
		t.Error("a forgotten object is remembered")
	}
}
