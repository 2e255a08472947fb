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
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

func (w *allocationWorld) answerProbe(service *corev1.Service, options []client.CreateOption) error {
	if len(options) != 1 || options[0] != client.DryRunAll || service.Namespace != "system" {
		return errors.New("that is no dry-run in our own namespace")
	}
	var ports []int32
	for _, port := range service.Spec.Ports {
		ports = append(ports, port.NodePort)
	}
	taken, err := w.probe(ports)
	if err != nil || taken == 0 {
		return err
	}
	path := field.NewPath("spec", "ports").Index(slices.Index(ports, taken)).Child("nodePort")
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), service.Name,
		field.ErrorList{field.Invalid(path, taken, "provided port is already allocated")})
}

// Nobody is known to have port 30001 of 30000-30009, of which most are taken.
func TestTheServerIsAskedAboutPortsInDoubt(t *testing.T) {
	tenPorts := allocator.PortSpan{First: 30000, Last: 30009}
	for name, tc := range map[string]struct {
		mode  allocator.Mode
		asked int32
		free  []int32 // beside 30001
		// probe is told how often it was asked before.
		probe  func(count int, observe func(name string, port int32)) (taken int32, err error)
		probes int
		// want is a cause, or the claims of an answer that passes.
		want   string
		claims []string
	}{
		"asked for, and it is free": {
			mode: allocator.Advisory, asked: 30001, probes: 1,
		},
		"asked for, and the watch comes to tell who has it": {
			mode: allocator.Advisory, asked: 30001, probes: 2,
			probe: func(count int, observe func(string, int32)) (int32, error) {
				if count == 1 {
					observe("late", 30001)
				}
				return 30001, nil
			},
			want: "spec.ports[0].nodePort: Invalid value: 30001: held by Service team/late; none is free",
		},
		"the same where numbers are claimed": {
			mode: allocator.Authoritative, asked: 30001, probes: 1,
			probe: func(_ int, observe func(string, int32)) (int32, error) {
				observe("late", 30001)
				return 30001, nil
			},
			want: "spec.ports[0].nodePort: Invalid value: 30001: held by Service team/late; none is free",
		},
		"asked for, and the server takes it back from who had it": {
			mode: allocator.Authoritative, asked: 30001, probes: 3,
			probe:  func(count int, _ func(string, int32)) (int32, error) { return []int32{30001, 30001, 0}[count], nil },
			claims: []string{"nodeport-30001"},
		},
		"the server can not be asked": {
			mode: allocator.Advisory, asked: 30001, probes: 1,
			probe: func(int, func(string, int32)) (int32, error) { return 0, errors.New("no such luck") },
		},
		"chosen where it is the only one, and it is free": {
			mode: allocator.Authoritative, probes: 1, claims: []string{"nodeport-30001"},
		},
		"chosen, and the server has given it away": {
			mode: allocator.Authoritative, probes: 1,
			probe: func(int, func(string, int32)) (int32, error) { return 30001, nil },
			want:  "spec.ports[0].nodePort: Forbidden: no number is free in 30000-30009",
		},
		"chosen where many are free": {
			mode: allocator.Authoritative, free: []int32{30002, 30003}, probes: 0,
			claims: []string{"nodeport-30001", "nodeport-30002", "nodeport-30003"}, // one of them
		},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, tc.mode, tenPorts)
			observe := func(name string, port int32) {
				service := nodePortService(name, port)
				service.UID = types.UID(name)
				if err := world.client.Create(context.Background(), service); err != nil {
					t.Error(err)
				}
				a.Index.Observe(service)
			}
			for port := tenPorts.First; port <= tenPorts.Last; port++ {
				if port != 30001 && !slices.Contains(tc.free, port) {
					observe(fmt.Sprint("s", port), port)
				}
			}
			count := 0
			world.probe = func(ports []int32) (int32, error) {
				defer func() { count++ }()
				if !slices.Equal(ports, []int32{30001}) {
					t.Errorf("asked about %v", ports)
				}
				if tc.probe == nil {
					return 0, nil
				}
				probe := world.probe
				world.probe = nil // what is observed meanwhile is created
				defer func() { world.probe = probe }()
				return tc.probe(count, observe)
			}
			web := nodePortService("web", tc.asked)
			web.Spec.ClusterIP, web.Spec.ClusterIPs = "10.0.0.10", []string{"10.0.0.10"}
			response := a.Handle(context.Background(), create(t, web, "admin"))
			if tc.want != "" {
				if diff := cmp.Diff(tc.want, causeOf(t, response)); diff != "" {
					t.Errorf("cause (-want +got):\n%s", diff)
				}
			} else if !response.Allowed || len(response.Warnings) > 0 {
				t.Errorf("response is %+v, want it to pass", response)
			}
			claims := slices.DeleteFunc(world.claims(t), func(name string) bool { return name == "clusterip-10.0.0.10" })
			if fits := len(claims) == min(1, len(tc.claims)) && (len(claims) == 0 || slices.Contains(tc.claims, claims[0])); !fits {
				t.Errorf("claims are %v, want one of %v", claims, tc.claims)
			}
			if count != tc.probes {
				t.Errorf("the server was asked %d times, want %d", count, tc.probes)
			}
		})
	}
}

// A port that the server has given and that nobody comes to have: a leak of the
// server's, which it finds by itself after a while.
func TestAPortThatNobodyHasIsLeftToTheServer(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Advisory, twoPorts)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	count := 0
	world.probe = func([]int32) (int32, error) {
		if count++; count == 2 {
			cancel() // the request has waited long enough
		}
		return 30001, nil
	}
	if response := a.Handle(ctx, create(t, nodePortService("web", 30001), "admin")); !response.Allowed || len(response.Warnings) > 0 {
		t.Errorf("response is %+v, want it to pass", response)
	}
	if count != 2 {
		t.Errorf("the server was asked %d times", count)
	}
}
