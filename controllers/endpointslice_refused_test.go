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
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientset "k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// TestARefusedSliceHoldsUpOnlyWhatItWasToTakeOver: a quota of slices may be used
// up for long, and dead endpoints must not stay for that long.
func TestARefusedSliceHoldsUpOnlyWhatItWasToTakeOver(t *testing.T) {
	at := func(ip string, port int32) *corev1.Pod { return testPod(ip, podPort("http", port, corev1.ProtocolTCP)) }
	on := func(pod *corev1.Pod, address string) *corev1.Pod {
		pod.Status.PodIP, pod.Status.PodIPs = address, []corev1.PodIP{{IP: address}}
		return pod
	}
	service := testService(intstr.FromString("http"))
	service.UID = "1"
	slice := func(name string, port int32, pods ...*corev1.Pod) *discoveryv1.EndpointSlice {
		slice := sliceOf(service, name, pods...)
		slice.Ports[0].Port = new(port)
		return slice
	}
	for title, tc := range map[string]struct {
		verb   string // that is refused
		pods   []*corev1.Pod
		slices []*discoveryv1.EndpointSlice
		want   []string
	}{
		"a dead endpoint goes in spite of it": {
			verb: "create", pods: []*corev1.Pod{at("10.0.0.2", 8080), at("10.0.0.3", 9090)},
			slices: []*discoveryv1.EndpointSlice{slice("web-x", 8080, at("10.0.0.1", 8080), at("10.0.0.2", 8080))},
			want:   []string{"create", "update web-x: 10.0.0.2"},
		},
		"even if another pod has its address": {
			verb: "create", pods: []*corev1.Pod{at("10.0.0.2", 8080), on(at("10.0.0.3", 9090), "10.0.0.1")},
			slices: []*discoveryv1.EndpointSlice{slice("web-x", 8080, at("10.0.0.1", 8080), at("10.0.0.2", 8080))},
			want:   []string{"create", "update web-x: 10.0.0.2"},
		},
		"what was to move there stays": {
			verb: "create", pods: []*corev1.Pod{at("10.0.0.1", 9090), at("10.0.0.2", 8080), at("10.0.0.4", 8081)},
			slices: []*discoveryv1.EndpointSlice{
				slice("web-x", 8080, at("10.0.0.1", 8080), at("10.0.0.2", 8080)), slice("web-y", 8081, at("10.0.0.3", 8081), at("10.0.0.4", 8081)),
			},
			want: []string{"create", "update web-y: 10.0.0.4"},
		},
		"another slice that is refused does not stop it": {
			verb: "create", pods: []*corev1.Pod{at("10.0.0.2", 8080), at("10.0.0.3", 9090), at("10.0.0.4", 9091)},
			slices: []*discoveryv1.EndpointSlice{slice("web-x", 8080, at("10.0.0.1", 8080), at("10.0.0.2", 8080))},
			want:   []string{"create", "create", "update web-x: 10.0.0.2"},
		},
		"an update that takes over": {
			verb: "update", pods: []*corev1.Pod{at("10.0.0.1", 8080), at("10.0.0.2", 8080)},
			slices: []*discoveryv1.EndpointSlice{slice("web-x", 8080, at("10.0.0.1", 8080)), slice("web-y", 8081, at("10.0.0.2", 8081))},
			want:   []string{"update web-x: 10.0.0.1 10.0.0.2"},
		},
		"an update beside a slice that goes": {
			verb: "update", pods: []*corev1.Pod{at("10.0.0.1", 8080)},
			slices: []*discoveryv1.EndpointSlice{slice("web-x", 8080, at("10.0.0.1", 8080), at("10.0.0.3", 8080)), slice("web-y", 8081, at("10.0.0.2", 8081))},
			want:   []string{"update web-x: 10.0.0.1", "delete web-y"},
		},
	} {
		t.Run(title, func(t *testing.T) {
			b := newSliceBench(t, tc.pods, service)
			var there []runtime.Object
			for _, slice := range tc.slices {
				slice.UID += "-" + slice.UID
				if err := b.Client.Create(t.Context(), slice.DeepCopy()); err != nil {
					t.Fatal(err)
				}
				there = append(there, slice)
			}
			b.server = clientset.NewClientset(there...)
			b.writer.client = b.server.DiscoveryV1()
			failure := error(apierrors.NewForbidden(discoveryv1.Resource("endpointslices"), "", errors.New("exceeded quota")))
			b.refuse(tc.verb, "web-x", &failure)
			if _, err := b.reconcile(service); !apierrors.IsForbidden(err) || !strings.Contains(lastEvent(b.events), "exceeded quota") {
				t.Errorf("%v: want the refusal, and to tell it", err)
			}
			if got := b.spellWrites(); !slices.Equal(got, tc.want) {
				t.Errorf("written: %q, want %q", got, tc.want)
			}
		})
	}
}

// TestWhatIsHeldUpHoldsUpWhatItWasToTakeOver: each slice was to take over from the
// next one. What an endpoint stays in is written.
func TestWhatIsHeldUpHoldsUpWhatItWasToTakeOver(t *testing.T) {
	service := testService(intstr.FromInt32(80))
	of := func(name string, ips ...string) *discoveryv1.EndpointSlice {
		slice := sliceOf(service, name)
		for _, ip := range ips {
			slice.Endpoints = append(slice.Endpoints, sliceOf(service, name, testPod(ip)).Endpoints...)
		}
		return slice
	}
	existing := []*discoveryv1.EndpointSlice{of("web-x", "10.0.0.1"), of("web-y", "10.0.0.2"), of("web-z", "10.0.0.1", "10.0.0.9"), of("web-w", "10.0.0.3")}
	b := newSliceBench(t, nil, service)
	failure := errors.New("no quorum")
	b.refuse("create", "", &failure)
	errs := b.writer.carryOut(t.Context(), service, existing, &endpointslices.Plan{
		Family: discoveryv1.AddressTypeIPv4,
		Create: []*discoveryv1.EndpointSlice{of("", "10.0.0.1")},
		Update: []*discoveryv1.EndpointSlice{of("web-x", "10.0.0.2"), of("web-y", "10.0.0.3"), of("web-z", "10.0.0.1")},
		Delete: existing[3:],
	}, noon)
	if got, want := b.spellWrites(), []string{"create", "update web-z: 10.0.0.1"}; !slices.Equal(got, want) || len(errs) == 0 {
		t.Errorf("written: %q, %v, want %q", got, errs, want)
	}
}

// refuse has creations fail, or the updates of one slice.
func (b *sliceBench) refuse(verb, name string, err *error) {
	b.server.PrependReactor(verb, "endpointslices", func(action clienttesting.Action) (bool, runtime.Object, error) {
		update, is := action.(clienttesting.UpdateAction)
		if is && update.GetObject().(*discoveryv1.EndpointSlice).Name != name && verb == "update" {
			return false, nil, nil
		}
		return *err != nil, nil, *err
	})
}

// spellWrites are the writes that were tried, in their order.
func (b *sliceBench) spellWrites() (all []string) {
	for _, action := range b.server.Actions() {
		text := action.GetVerb()
		switch action := action.(type) {
		case clienttesting.UpdateActionImpl:
			slice := action.GetObject().(*discoveryv1.EndpointSlice)
			var addresses []string
			for i := range slice.Endpoints {
				addresses = append(addresses, slice.Endpoints[i].Addresses...)
			}
			slices.Sort(addresses)
			text += " " + slice.Name + ": " + strings.Join(addresses, " ")
		case clienttesting.DeleteActionImpl:
			text += " " + action.GetName()
		}
		all = append(all, text)
	}
	return all
}
