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
	"strings"
	"testing"

	"github.com/go-logr/logr"
	discoveryv1 "k8s.io/api/discovery/v1"
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

func TestServices(t *testing.T) {
	tally, c := newTally(), seeded(1)
	for range rounds {
		serviceKind.compare(t, c, validation.Options{}, tally)
		compareStatus(t, c, validation.Options{}, tally)
	}
	tally.report(t)
	tally.hit(t, serviceRules)
}

func TestEndpoints(t *testing.T) {
	tally, c := newTally(), seeded(2)
	for range rounds {
		endpointsKind.compare(t, c, validation.Options{}, tally)
	}
	tally.report(t)
	tally.hit(t, endpointsRules)
}

func TestEndpointSlices(t *testing.T) {
	tally, c := newTally(), seeded(3)
	for range rounds {
		sliceKind.compare(t, c, validation.Options{}, tally)
	}
	for _, before := range oversized() {
		sliceKind.sameCreate(t, before, validation.Options{}, tally)
		after := before.DeepCopy()
		sliceKind.sameUpdate(t, before, after, validation.Options{}, tally)
		after.Endpoints = append(after.Endpoints, discoveryv1.Endpoint{})
		sliceKind.sameUpdate(t, before, after, validation.Options{}, tally)
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
		serviceKind.compare(t, c, legacy, tally)
		compareStatus(t, c, legacy, tally)
		endpointsKind.compare(t, c, legacy, tally)
		sliceKind.compare(t, c, legacy, tally)
	}
	tally.report(t)
	tally.hit(t, []rule{{"V10", "spec.externalIPs[]", "must be a valid IP address"}, {"V31", "endpoints[].addresses[]", "must not have leading 0s"}})
	for p := range tally.seen {
		if strings.HasPrefix(p.Field, "spec.externalIPs") && strings.Contains(p.Message, "leading 0s") {
			t.Fatalf("the gate is on: %v", p)
		}
	}
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
		serviceKind.compare(t, &c, validation.Options{}, newTally())
		compareStatus(t, &c, validation.Options{}, newTally())
		for _, r := range registries {
			c = script(choices)
			compareManifest(t, &c, r, newTally())
			c = script(choices)
			compareManifestUpdate(t, &c, r, newTally())
			c = script(choices)
			compareFamilies(t, &c, r, newTally())
		}
	})
}

// FuzzEndpoints is the same for endpoints.
func FuzzEndpoints(f *testing.F) {
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, choices []byte) {
		c := script(choices)
		endpointsKind.compare(t, &c, validation.Options{}, newTally())
		c = script(choices)
		sliceKind.compare(t, &c, validation.Options{}, newTally())
	})
}
