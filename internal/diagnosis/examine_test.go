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
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// copied is a deep copy of what facts point to.
func copied(f *Facts) *Facts {
	c := *f
	c.Service = f.Service.DeepCopy()
	c.Selected, c.Others, c.Slices = nil, nil, nil
	for _, pod := range f.Selected {
		c.Selected = append(c.Selected, pod.DeepCopy())
	}
	for _, pod := range f.Others {
		c.Others = append(c.Others, pod.DeepCopy())
	}
	for _, slice := range f.Slices {
		c.Slices = append(c.Slices, slice.DeepCopy())
	}
	return &c
}

func TestFactsAreNotModified(t *testing.T) {
	f := webFacts()
	unscheduled(f.Selected[0])
	f.Selected[1].DeletionTimestamp = new(ago(0))
	f.follow()
	f.Selected = append(f.Selected, nil)
	before := copied(f)
	first := Examine(f)
	if !reflect.DeepEqual(before, copied(f)) || f.Selected[3] != nil {
		t.Error("facts were modified")
	}
	if second := Examine(f); !reflect.DeepEqual(first, second) {
		t.Errorf("the same facts give %v and then %v", first, second)
	}
}

// A cause is reported once: no later step says again what follows from it.
func TestCausesAreReportedOnce(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"no pods":       func(f *Facts) { f.noPods(relabel("app", "webb")) },
		"not ready":     func(f *Facts) { f.eachPod(probeFails) },
		"no named port": named("web", "http", 8080, ""),
		"no family": func(f *Facts) {
			f.Service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
		},
		"no endpoint, so the name has no address": func(f *Facts) {
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
			f.eachPod(probeFails)
			f.DNSServer = &DNSServer{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := webFacts()
			localInternal(f)
			change(f)
			f.follow()
			r := Examine(f)
			var bad []Check
			for _, step := range r.Steps {
				if step.State != OK {
					bad = append(bad, step.Check)
				}
			}
			if len(bad) != 1 || bad[0] != r.Verdict.Check {
				t.Errorf("steps %v are not well, and the verdict is of %s", bad, r.Verdict.Check)
			}
		})
	}
}

func TestUnseenIsToldOnce(t *testing.T) {
	f := webFacts()
	f.follow()
	f.Unseen = map[Kind]string{Numbers: "b is forbidden", Nodes: "a is forbidden", Agents: "a is forbidden"}
	r := Examine(f)
	if want := []string{"a is forbidden", "b is forbidden"}; !slices.Equal(r.Unseen, want) {
		t.Errorf("got %q, want %q", r.Unseen, want)
	}
}

func TestLargeServicesAreToldBriefly(t *testing.T) {
	f := webFacts()
	f.Selected = nil
	for i := range 5000 {
		p := pod(fmt.Sprintf("web-%d", i), "10.1.0.1")
		p.Status.PodIPs[0].IP = fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
		notReadyNow(p, waiting("ImagePullBackOff", strings.Repeat("no such host ", 100)))
		p.Spec.Containers[0].Image = fmt.Sprintf("example.org/%d", i)
		f.Selected = append(f.Selected, p)
	}
	f.follow()
	r := Examine(f)
	step, _ := r.Step(CheckReadiness)
	if len(step.Details) != maxDetails || len(r.Verdict.Sentence) > maxMessage || !strings.Contains(r.Verdict.Sentence, "4998 more") {
		t.Errorf("%d details, %s", len(step.Details), r.Verdict.Sentence)
	}
	for _, condition := range Conditions(r) {
		if len(condition.Message) > maxMessage {
			t.Errorf("%s has a message of %d letters", condition.Type, len(condition.Message))
		}
	}
}

func TestEnumerate(t *testing.T) {
	for want, names := range map[string][]string{
		"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}, "a, b, c and 2 more": {"a", "b", "c", "d", "e"},
	} {
		if got := enumerate(names, maxNames); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := enumerateOf([]string{"a", "b", "c", "d"}, 5000); got != "a, b, c and 4997 more" {
		t.Errorf("got %q", got)
	}
}

// BenchmarkExamine is a Service of 5,000 pods that all have to be looked at.
func BenchmarkExamine(b *testing.B) {
	f := webFacts()
	f.Selected = nil
	for i := range 5000 {
		p := pod(fmt.Sprintf("web-%d", i), "10.1.0.1")
		p.Status.PodIPs[0].IP = fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
		f.Selected = append(f.Selected, p)
	}
	f.follow()
	if r := Examine(f); r.Verdict.State != OK {
		b.Fatal(r.Verdict)
	}
	for b.Loop() {
		Examine(f)
	}
}

// chooser makes odd facts of bytes.
type chooser []byte

func (c *chooser) pick(n int) int {
	if len(*c) == 0 {
		return 0
	}
	first := int((*c)[0])
	*c = (*c)[1:]
	return first % n
}

// oddities are changes of which any may come together, in any order.
var oddities = []func(*Facts){
	func(f *Facts) { f.Service = nil },
	func(f *Facts) { f.Service.Spec = corev1.ServiceSpec{} },
	func(f *Facts) { f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", nil },
	func(f *Facts) { f.Service.Spec.ClusterIPs = []string{"nonsense", ""} },
	func(f *Facts) { f.Service.Spec.Ports = nil },
	func(f *Facts) { f.Service.Spec.Ports = append(f.Service.Spec.Ports, corev1.ServicePort{}) },
	func(f *Facts) { f.noSelectorNorPods() },
	func(f *Facts) { externalName(f, "..svc.cluster.local") },
	func(f *Facts) { loadBalancer(f, "") },
	func(f *Facts) { f.Service.Spec.LoadBalancerSourceRanges = []string{"", "0.0.0.0/0"} },
	localInternal, localNodePort,
	func(f *Facts) { named("", "", 0, "")(f) },
	func(f *Facts) { named("web", "http", 1, "X")(f) },
	func(f *Facts) { f.Service.Spec.IPFamilies = []corev1.IPFamily{"", "IPv6"} },
	func(f *Facts) { f.Selected = append(f.Selected, nil, &corev1.Pod{}) },
	func(f *Facts) { f.noPods(relabel()) },
	func(f *Facts) { f.Others = append(f.Others, nil, &corev1.Pod{}) },
	func(f *Facts) { f.eachPod(func(pod *corev1.Pod) { pod.Status = corev1.PodStatus{} }) },
	func(f *Facts) { f.eachPod(func(pod *corev1.Pod) { pod.Spec = corev1.PodSpec{} }) },
	func(f *Facts) { f.eachPod(func(pod *corev1.Pod) { pod.DeletionTimestamp = &metav1.Time{} }) },
	func(f *Facts) {
		f.eachPod(func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].State = waiting("", "") })
	},
	func(f *Facts) { f.eachPod(probeFails) },
	func(f *Facts) {
		f.eachPod(func(pod *corev1.Pod) { pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{} })
	},
	func(f *Facts) { f.Slices = append(f.Slices, nil, byHand("", "192.0.2.1", "", 0)) },
	func(f *Facts) { f.Slices = append(f.Slices, slice("", "", "", nil)) },
	func(f *Facts) {
		odd := byHand(mirrorController, "::1", "", 0)
		odd.Ports[0].Name, odd.Ports[0].Port, odd.Endpoints[0].Addresses = nil, nil, []string{"x", ""}
		f.Slices = append(f.Slices, odd)
	},
	func(f *Facts) { f.Endpoints = &corev1.Endpoints{} },
	func(f *Facts) { f.Endpoints = endpointsObject("") },
	func(f *Facts) { f.Nodes = append(f.Nodes, nil, &corev1.Node{}) },
	func(f *Facts) { f.Nodes = nil },
	func(f *Facts) { f.Numbers = []NumberFinding{{}, {Unallocated: true, Error: true}} },
	func(f *Facts) { f.Agents = map[string]Agent{"": {}, "n1": {Asked: true}} },
	func(f *Facts) { f.DNSServer = &DNSServer{} },
	func(f *Facts) { f.Client = &Client{} },
	func(f *Facts) { f.Client = &Client{Pod: &corev1.Pod{}} },
	func(f *Facts) { f.Client = outside("::ffff:192.0.2.1") },
	func(f *Facts) { f.Client = &Client{Pod: clientPod("shop")} },
	func(f *Facts) {
		held(f, into(ingress{Ports: numbers{{}}, From: peers{{}}}), outOf(egress{To: peers{{}}}))
	},
	func(f *Facts) { f.NetworkPolicies = append(f.NetworkPolicies, nil) },
	func(f *Facts) {
		f.Unseen = map[Kind]string{Services: "", Pods: "", EndpointSlices: "", Nodes: "", Numbers: "", NetworkPolicies: "", Namespaces: "", Agents: ""}
	},
}

// oddFacts applies what still makes sense to it: a change that finds nothing to
// change, since another came before, is left out.
func oddFacts(data []byte) *Facts {
	f, c := webFacts(), chooser(data)
	for range min(len(data), 8) {
		change := oddities[c.pick(len(oddities))]
		func() {
			defer func() { _ = recover() }()
			change(f)
		}()
	}
	if c.pick(2) == 1 && f.Slices == nil {
		f.Selected = present(f.Selected)
		f.follow()
	}
	return f
}

func FuzzExamine(f *testing.F) {
	f.Add([]byte{})
	for i := range oddities {
		for j := range oddities {
			f.Add([]byte{byte(i), byte(j), 1})
			f.Add([]byte{byte(i), byte(j), byte(i + j), 0})
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Examine(oddFacts(data))
		if r.Verdict.Sentence == "" || !slices.Contains([]State{OK, Unknown, Warning, Problem}, r.Verdict.State) {
			t.Errorf("no verdict but %v", r.Verdict)
		}
		for _, step := range r.Steps {
			if step.Message == "" || (step.State == OK) != (step.Reason == "") {
				t.Errorf("an odd step: %+v", step)
			}
			if len(step.Details) > maxDetails {
				t.Errorf("%d details of %s", len(step.Details), step.Check)
			}
		}
		for _, condition := range Conditions(r) {
			if condition.Status == "" || condition.Reason == "" {
				t.Errorf("an odd condition: %+v", condition)
			}
		}
	})
}
