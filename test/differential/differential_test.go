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

package differential

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/features"

	"switchyard.dev/switchyard/internal/validation"
)

// rounds is how many objects are made of each kind in each way.
const rounds = 10000

// TestMain keeps the server's log out: it wonders about what it never gets to see.
func TestMain(m *testing.M) {
	klog.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// texts are what the server would warn about.
func texts(warnings []validation.Warning) []string {
	var out []string
	for _, w := range warnings {
		out = append(out, w.Text)
	}
	return out
}

func sameWarnings(t *testing.T, tally *tally, what string, ours []validation.Warning, servers []string, object any) {
	t.Helper()
	tally.compared++
	for _, text := range servers {
		tally.seen[problem{"Warning", "", text}]++
	}
	if !slices.Equal(texts(ours), servers) {
		t.Errorf("%s: ours warns\n%q\nand the server\n%q\nof %s", what, texts(ours), servers, spelled([]any{object}))
	}
}

// compareServices makes one of each comparison with the choices it is given.
func compareServices(t *testing.T, c chooser, opts validation.Options, tally *tally) {
	t.Helper()
	changes := serviceChanges()
	svc := pick(c, services())
	mutate(c, svc, changes)
	tally.same(t, "create", problems(validation.ValidateService(svc, opts)), problems(serverService(svc)), svc)
	sameWarnings(t, tally, "create", validation.ServiceWarnings(svc), serverServiceWarnings(svc), svc)

	// Half of the updates begin with what should never have been let in.
	before := pick(c, services())
	if c.IntN(2) == 0 {
		mutate(c, before, changes)
	}
	after := before.DeepCopy()
	if c.IntN(4) == 0 {
		after = pick(c, services())
	}
	mutate(c, after, changes)
	tally.same(t, "update", problems(validation.ValidateServiceUpdate(before, after, opts)),
		problems(serverServiceUpdate(before, after)), before, after)

	mutate(c, before, statusChanges())
	reported := before.DeepCopy()
	mutate(c, reported, statusChanges())
	tally.same(t, "status", problems(validation.ValidateServiceStatusUpdate(before, reported, opts)),
		problems(serverStatusUpdate(before, reported)), before, reported)
}

func compareEndpoints(t *testing.T, c chooser, opts validation.Options, tally *tally) {
	t.Helper()
	changes := endpointsChanges()
	before := pick(c, endpoints())
	mutate(c, before, changes)
	tally.same(t, "create", problems(validation.ValidateEndpoints(before, opts)), problems(serverEndpoints(before)), before)
	sameWarnings(t, tally, "create", validation.EndpointsWarnings(before), serverEndpointsWarnings(before), before)
	after := before.DeepCopy()
	mutate(c, after, changes)
	tally.same(t, "update", problems(validation.ValidateEndpointsUpdate(before, after, opts)),
		problems(serverEndpointsUpdate(before, after)), before, after)
}

func compareSlices(t *testing.T, c chooser, opts validation.Options, tally *tally) {
	t.Helper()
	changes := sliceChanges()
	before := pick(c, slices4to6())
	mutate(c, before, changes)
	tally.same(t, "create", problems(validation.ValidateEndpointSlice(before, opts)), problems(serverSlice(before)), before)
	sameWarnings(t, tally, "create", validation.EndpointSliceWarnings(before), serverSliceWarnings(before), before)
	after := before.DeepCopy()
	mutate(c, after, changes)
	tally.same(t, "update", problems(validation.ValidateEndpointSliceUpdate(before, after, opts)),
		problems(serverSliceUpdate(before, after)), before, after)
}

// compareManifest goes the whole way that a posted Service goes, defaults and
// allocation included, on a cluster with the registry's families.
func compareManifest(t *testing.T, c chooser, r *registry, tally *tally) {
	t.Helper()
	svc := pick(c, services())
	bare(c, svc)
	mutate(c, svc, serviceChanges())
	serverFills(&svc.ObjectMeta)
	_, errs := validation.Manifest(svc, validation.Options{IPFamilies: r.families})
	servers, err := r.create(svc)
	if err != nil {
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{svc}), err)
	}
	tally.same(t, "manifest", problems(errs), withoutOwnDoing(svc, servers), svc)
}

// bare takes out what a user leaves to the server.
func bare(c chooser, svc *corev1.Service) {
	for _, leaveOut := range []func(){
		func() { svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "", nil },
		func() { svc.Spec.ClusterIPs = nil },
		func() { svc.Spec.IPFamilies = nil },
		func() { svc.Spec.IPFamilyPolicy = nil },
		func() { svc.Spec.HealthCheckNodePort = 0 },
		func() { svc.Spec.AllocateLoadBalancerNodePorts = nil },
		func() { svc.Spec.InternalTrafficPolicy, svc.Spec.ExternalTrafficPolicy = nil, "" },
		func() { svc.Spec.Type, svc.Spec.SessionAffinity = "", "" },
	} {
		if c.IntN(2) == 0 {
			leaveOut()
		}
	}
}

// serverFills is what happens to a request before the registry sees it.
func serverFills(meta *metav1.ObjectMeta) {
	if meta.Namespace == "" {
		meta.Namespace = "default"
	}
	if meta.Name == "" && meta.GenerateName != "" {
		meta.Name = meta.GenerateName + "xxxxx"
	}
	meta.DeletionTimestamp = nil
}

// withoutOwnDoing takes out one complaint of the server's about itself: where a
// Service has one port twice, it gives both one NodePort.
func withoutOwnDoing(svc *corev1.Service, servers []problem) []problem {
	var out []problem
	for _, p := range servers {
		var own bool
		for i, port := range svc.Spec.Ports {
			own = own || port.NodePort == 0 && p.Type == "FieldValueDuplicate" && p.Field == nodePortField(i)
		}
		if !own {
			out = append(out, p)
		}
	}
	return out
}

// compareFamilies is about what the allocator says to an update.
func compareFamilies(t *testing.T, c chooser, r *registry, tally *tally) {
	t.Helper()
	before := pick(c, services())
	after := before.DeepCopy()
	for range 1 + c.IntN(3) {
		pick(c, familyChanges)(c, after)
	}
	servers, err := r.allocateUpdate(before, after)
	if err != nil {
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{before, after}), err)
	}
	tally.same(t, "allocation", problems(validation.ValidateIPFamilies(before, after, validation.Options{IPFamilies: r.families})), servers, before, after)
}

// familyChanges leave no gap that the server would fill in first from the
// Service before.
var familyChanges = []change[*corev1.Service]{
	func(c chooser, s *corev1.Service) { s.Spec.IPFamilyPolicy = maybe(c, familyPolicy) },
	func(c chooser, s *corev1.Service) { s.Spec.IPFamilies = some(c, families) },
	func(c chooser, s *corev1.Service) {
		s.Spec.ClusterIPs = s.Spec.ClusterIPs[:min(1, len(s.Spec.ClusterIPs))]
	},
	func(c chooser, s *corev1.Service) {
		if len(s.Spec.ClusterIPs) == 1 && s.Spec.ClusterIP != "None" {
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, pick(c, ips))
		}
	},
	func(c chooser, s *corev1.Service) { s.Spec.Selector = nil },
}

func TestServices(t *testing.T) {
	tally, c := newTally(), seeded(1)
	for range rounds {
		compareServices(t, c, validation.Options{}, tally)
	}
	tally.report(t)
	tally.hit(t, serviceRules)
}

func TestEndpoints(t *testing.T) {
	tally, c := newTally(), seeded(2)
	for range rounds {
		compareEndpoints(t, c, validation.Options{}, tally)
	}
	tally.report(t)
	tally.hit(t, endpointsRules)
}

func TestEndpointSlices(t *testing.T) {
	tally, c := newTally(), seeded(3)
	for range rounds {
		compareSlices(t, c, validation.Options{}, tally)
	}
	for _, before := range oversized() {
		tally.same(t, "create", problems(validation.ValidateEndpointSlice(before, validation.Options{})), problems(serverSlice(before)), before)
		after := before.DeepCopy()
		tally.same(t, "update", problems(validation.ValidateEndpointSliceUpdate(before, after, validation.Options{})),
			problems(serverSliceUpdate(before, after)), before, after)
		after.Endpoints = append(after.Endpoints, discoveryv1.Endpoint{})
		tally.same(t, "update", problems(validation.ValidateEndpointSliceUpdate(before, after, validation.Options{})),
			problems(serverSliceUpdate(before, after)), before, after)
	}
	tally.report(t)
	tally.hit(t, sliceRules)
}

// Servers before 1.36, and those with the gate off, read addresses sloppily.
func TestLegacyAddresses(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.StrictIPCIDRValidation, false)
	legacy := validation.Options{LegacyAddresses: true}
	tally, c := newTally(), seeded(4)
	for range rounds / 2 {
		compareServices(t, c, legacy, tally)
		compareEndpoints(t, c, legacy, tally)
		compareSlices(t, c, legacy, tally)
	}
	tally.report(t)
	tally.hit(t, []rule{{"V10", "spec.externalIPs[]", "must be a valid IP address"}, {"V31", "endpoints[].addresses[]", "must not have leading 0s"}})
	for p := range tally.seen {
		if strings.HasPrefix(p.Field, "spec.externalIPs") && strings.Contains(p.Message, "leading 0s") {
			t.Fatalf("the gate is on: %v", p)
		}
	}
}

func TestManifests(t *testing.T) {
	for name, families := range clusters {
		t.Run(name, func(t *testing.T) {
			r, err := newRegistry(families...)
			if err != nil {
				t.Fatal(err)
			}
			tally, c := newTally(), seeded(uint64(len(families)))
			for range rounds {
				compareManifest(t, c, r, tally)
				compareFamilies(t, c, r, tally)
			}
			tally.report(t)
			tally.hit(t, clusterRules[name])
		})
	}
}

var clusters = map[string][]corev1.IPFamily{
	"IPv4":          {corev1.IPv4Protocol},
	"IPv6 and IPv4": {corev1.IPv6Protocol, corev1.IPv4Protocol},
}

// FuzzServices lets the fuzzer choose what is changed into what.
func FuzzServices(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(strings.Repeat("\x01\x07\x03", 40)))
	var registries []*registry
	for _, families := range clusters {
		r, err := newRegistry(families...)
		if err != nil {
			f.Fatal(err)
		}
		registries = append(registries, r)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		c := script(choices)
		compareServices(t, &c, validation.Options{}, newTally())
		for _, r := range registries {
			c = script(choices)
			compareManifest(t, &c, r, newTally())
			compareFamilies(t, &c, r, newTally())
		}
	})
}

// FuzzEndpoints is the same for endpoints.
func FuzzEndpoints(f *testing.F) {
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, choices []byte) {
		c := script(choices)
		compareEndpoints(t, &c, validation.Options{}, newTally())
		c = script(choices)
		compareSlices(t, &c, validation.Options{}, newTally())
	})
}
