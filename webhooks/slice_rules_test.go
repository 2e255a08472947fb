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
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestEndpointsAreOfTheirOwnNamespace(t *testing.T) {
	world := &memory{pods: []*corev1.Pod{
		at(pod("db"), "shop", "10.244.1.5", "fd00:244::5"),
		at(pod("mine"), "default", "10.244.1.6"),
		networked(hostPod("exporter")),
	}}
	refused := func(path string) wantVerdict {
		return wantVerdict{errors: []string{path + `: this is the address of pod shop/db, and only its own namespace may make it an endpoint (CVE-2021-25740)`}}
	}
	for name, tc := range map[string]struct {
		before, after []Backend
		want          wantVerdict
	}{
		"X9: in Endpoints":            {after: BackendsOfEndpoints(endpoints(80, "10.244.1.5")), want: refused(`subsets[0].notReadyAddresses[0].ip: Invalid value: "10.244.1.5"`)},
		"X9: in an EndpointSlice":     {after: BackendsOfSlice(slice(80, "10.244.1.6", "10.244.1.5")), want: refused(`endpoints[0].addresses[1]: Invalid value: "10.244.1.5"`)},
		"X9: the pod's other address": {after: BackendsOfSlice(slice(80, "FD00:244:0::5")), want: refused(`endpoints[0].addresses[0]: Invalid value: "FD00:244:0::5"`)},
		"X9: written as IPv6":         {after: BackendsOfSlice(slice(80, "::ffff:10.244.1.5")), want: refused(`endpoints[0].addresses[0]: Invalid value: "::ffff:10.244.1.5"`)},
		"X9: added on an update": {
			before: BackendsOfSlice(slice(80, "10.244.1.6")), after: BackendsOfSlice(slice(80, "10.244.1.5")), want: refused(`endpoints[0].addresses[0]: Invalid value: "10.244.1.5"`)},
		"a pod of the namespace":            {after: BackendsOfSlice(slice(80, "10.244.1.6"))},
		"no pod's address":                  {after: BackendsOfSlice(slice(80, "10.244.1.7"))},
		"a node's address, as of exporters": {after: BackendsOfSlice(slice(80, "192.0.2.1"))},
		"what was there before may stay":    {before: BackendsOfSlice(slice(80, "10.244.1.5")), after: BackendsOfSlice(slice(81, "10.244.1.5"))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateBackends(t.Context(), world, nil, BackendChange{Namespace: "default", Before: tc.before, After: tc.after})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestAFinishedPodsAddressIsNobodys(t *testing.T) {
	finished := at(pod("job"), "shop", "10.244.1.5")
	finished.Status.Phase = corev1.PodFailed
	got, err := ValidateBackends(t.Context(), &memory{pods: []*corev1.Pod{finished}}, nil,
		BackendChange{Namespace: "default", After: BackendsOfSlice(slice(80, "10.244.1.5"))})
	if err != nil || len(got.Errors) > 0 {
		t.Errorf("got %v and %v", got.Errors, err)
	}
}

// sliceFor has the two labels.
func sliceFor(service, manager string) *discoveryv1.EndpointSlice {
	s := slice(80, "192.0.2.9")
	s.Namespace, s.Labels = "default", map[string]string{discoveryv1.LabelServiceName: service}
	if manager != "" {
		s.Labels[discoveryv1.LabelManagedBy] = manager
	}
	return s
}

func withManager(s *discoveryv1.EndpointSlice, manager string) *discoveryv1.EndpointSlice {
	s = s.DeepCopy()
	s.Labels[discoveryv1.LabelManagedBy] = manager
	return s
}

func TestASliceOfASelectorServiceHasAManager(t *testing.T) {
	world := &memory{services: []*corev1.Service{service("web", selecting("app", "web")), service("manual")}}
	more, less := sliceFor("web", ""), sliceFor("web", "")
	more.Endpoints = append(more.Endpoints, slice(80, "192.0.2.10").Endpoints...)
	less.Endpoints = nil
	refused := wantVerdict{errors: []string{`metadata.labels[kubernetes.io/service-name]: Invalid value: "web": default/web selects its endpoints`}}
	for name, tc := range map[string]struct {
		old, new *discoveryv1.EndpointSlice
		want     wantVerdict
	}{
		"X10: nobody manages it":                   {new: sliceFor("web", ""), want: refused},
		"X10: it claims to be a controller's":      {new: sliceFor("web", "endpointslice-controller.k8s.io"), want: refused},
		"X10: given to the Service later":          {old: sliceFor("manual", ""), new: sliceFor("web", ""), want: refused},
		"X10: its manager gives it up":             {old: sliceFor("web", "mesh.example.com"), new: sliceFor("web", ""), want: refused},
		"X10: it gets one more address":            {old: sliceFor("web", ""), new: more, want: refused},
		"X10: it gets another address":             {old: less, new: sliceFor("web", ""), want: refused},
		"one that was there before may get fewer":  {old: more, new: sliceFor("web", "")},
		"more addresses from somebody's manager":   {old: sliceFor("web", "mesh.example.com"), new: withManager(more, "mesh.example.com")},
		"a controller of somebody else":            {new: sliceFor("web", "mesh.example.com")},
		"a Service without a selector":             {new: sliceFor("manual", "")},
		"a Service that is not there":              {new: sliceFor("gone", "")},
		"no Service":                               {new: sliceFor("", "")},
		"one that was there before may be changed": {old: sliceFor("web", ""), new: sliceFor("web", "")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateBackends(t.Context(), world, nil, sliceChange(tc.old, tc.new))
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestAsWarningsTheyAreNotCutOff(t *testing.T) {
	name := strings.Repeat("a", 40)
	world := &memory{
		services: []*corev1.Service{service(name, selecting("app", "web"))},
		pods:     []*corev1.Pod{at(pod(name), name, "192.0.2.9")},
	}
	got, err := ValidateBackends(t.Context(), world, Severities{"X9": Warn, "X10": Warn}, sliceChange(nil, sliceFor(name, "")))
	if err != nil {
		t.Fatal(err)
	}
	expectVerdict(t, got, wantVerdict{warnings: []string{"rule X9", "rule X10"}})
}
