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

package endstate

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

const (
	// maxPerSlice and maxPerSubset are small, so that small clusters reach them.
	maxPerSlice  = 4
	maxPerSubset = 3
)

// history is the life of one cluster, which is the same in every namespace.
type history struct {
	*rand.Rand
	// name tells it from others.
	name  string
	steps []step
	// behind is what happens before ours take over from theirs.
	behind []step
	// services, pods and endpoints are what there is after the steps; endpoints are
	// those made by hand.
	services  map[string]*corev1.Service
	pods      map[string]*corev1.Pod
	endpoints map[string]*corev1.Endpoints
	// locked are names of Services that are gone and had a leader's lock beside them.
	locked map[string]bool
	born   int
}

var serviceNames = []string{"web", "api", "db"}

// newHistory begins with a few objects and goes on with changes of all kinds.
func newHistory(seed, number uint64) *history {
	h := emptyHistory(seed, number)
	for range 3 + h.IntN(6) {
		h.newPod()
	}
	if h.IntN(30) == 0 { // A large one, now and then.
		for range 40 {
			h.newPod()
		}
	}
	for _, name := range serviceNames {
		if h.IntN(5) > 0 {
			h.newService(name)
		}
	}
	for range 4 + h.IntN(20) {
		h.change()
	}
	return h
}

func emptyHistory(seed, number uint64) *history {
	return &history{
		Rand:     rand.New(rand.NewPCG(seed, number)),
		name:     fmt.Sprint("cluster ", number),
		locked:   map[string]bool{},
		services: map[string]*corev1.Service{}, pods: map[string]*corev1.Pod{}, endpoints: map[string]*corev1.Endpoints{},
	}
}

func (h *history) change() {
	switch n := h.IntN(100); {
	case n < 12:
		h.newPod()
	case n < 50 && len(h.pods) > 0:
		h.changePod(h.pods[h.any(slices.Collect(maps.Keys(h.pods)))])
	case n < 84:
		h.onService()
	case n < 96:
		h.onEndpoints()
	default:
		h.interfere()
	}
}

func (h *history) onService() {
	name := one(h, serviceNames...)
	switch service := h.services[name]; {
	case h.locked[name]:
	case service == nil:
		h.newService(name)
	case h.IntN(8) == 0:
		h.do(step{verb: remove, object: named(&corev1.Service{}, name)})
		delete(h.services, name)
		if endpoints := h.endpoints[name]; endpoints != nil {
			_, h.locked[name] = endpoints.Annotations[leader]
			delete(h.endpoints, name)
		}
		if h.chance(50) && !h.locked[name] {
			h.newService(name)
		}
	default:
		h.changeService(service)
	}
}

func (h *history) do(s step) { h.steps = append(h.steps, s) }

// any is one of the names, which may come in any order.
func (h *history) any(names []string) string {
	slices.Sort(names)
	return one(h, names...)
}

func (h *history) chance(percent int) bool { return h.IntN(100) < percent }

func one[T any](h *history, values ...T) T { return values[h.IntN(len(values))] }

// labels are those of pods and selectors.
func (h *history) labels() map[string]string {
	labels := map[string]string{"app": one(h, "web", "web", "api")}
	if h.chance(40) {
		labels["tier"] = one(h, "front", "back")
	}
	return labels
}

func (h *history) String() string {
	text := ""
	for i := range h.steps {
		text += fmt.Sprintf("  %s\n", h.steps[i])
	}
	return text
}
