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

package managers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wanted are the addresses of a Service's pods that are ready, or are not.
func (w *town) wanted(service string, ready bool) (addresses []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pod := range w.pods {
		if (service == townAll || pod.Labels["street"] == service) && w.ready[pod.Status.PodIP] == ready {
			addresses = append(addresses, pod.Status.PodIP)
		}
	}
	slices.Sort(addresses)
	return addresses
}

func (w *town) services() (names []string) {
	for i := range townServices {
		names = append(names, townService(i))
	}
	return append(names, townAll)
}

// follows tells whether the slices and Endpoints of all Services are those of the
// pods, each address being there once.
func (w *town) follows() error {
	for _, name := range w.services() {
		var list discoveryv1.EndpointSliceList
		var object corev1.Endpoints
		if err := errors.Join(
			w.api.List(w.Context(), &list, client.InNamespace(metav1.NamespaceDefault), client.MatchingLabels{discoveryv1.LabelServiceName: name}),
			w.api.Get(w.Context(), types.NamespacedName{Namespace: metav1.NamespaceDefault, Name: name}, &object),
		); err != nil {
			return err
		}
		slicesOf, endpointsOf := map[bool][]string{}, map[bool][]string{}
		for _, slice := range list.Items {
			for _, endpoint := range slice.Endpoints {
				slicesOf[*endpoint.Conditions.Ready] = append(slicesOf[*endpoint.Conditions.Ready], endpoint.Addresses...)
			}
		}
		for _, subset := range object.Subsets {
			for _, address := range subset.Addresses {
				endpointsOf[true] = append(endpointsOf[true], address.IP)
			}
			for _, address := range subset.NotReadyAddresses {
				endpointsOf[false] = append(endpointsOf[false], address.IP)
			}
		}
		for _, ready := range []bool{true, false} {
			want := w.wanted(name, ready)
			for kind, got := range map[string][]string{"EndpointSlices": slicesOf[ready], "Endpoints": endpointsOf[ready]} {
				slices.Sort(got)
				if !slices.Equal(got, want) {
					return fmt.Errorf("%s of Service %s have %d addresses whose readiness is %t, want %d", kind, name, len(got), ready, len(want))
				}
			}
		}
	}
	return nil
}

// behind counts the endpoints whose readiness is not that of their pods.
func (w *town) behind() (count int) {
	var list discoveryv1.EndpointSliceList
	if err := w.api.List(w.Context(), &list, client.InNamespace(metav1.NamespaceDefault)); err != nil {
		w.Error(err)
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if ready, known := w.ready[endpoint.Addresses[0]]; known && ready != *endpoint.Conditions.Ready {
				count++
			}
		}
	}
	return count
}

// townWatch sees every version of every slice, in order.
type townWatch struct {
	watching apiwatch.Interface
	ended    chan struct{}
	mu       sync.Mutex
	stopped  bool
	seen     int
	ready    map[string]map[string]int // by Service and slice
	empty    []string
}

func (w *town) watch() *townWatch {
	w.Helper()
	api, err := client.NewWithWatch(w.config, client.Options{Scheme: scheme})
	w.must(err)
	var list discoveryv1.EndpointSliceList
	w.must(w.api.List(w.Context(), &list, client.InNamespace(metav1.NamespaceDefault)))
	t := &townWatch{ended: make(chan struct{}), ready: map[string]map[string]int{}}
	for i := range list.Items {
		t.note(apiwatch.Added, &list.Items[i])
	}
	t.empty = nil // of the Services of which only some slices had been noted
	t.watching, err = api.Watch(w.Context(), &discoveryv1.EndpointSliceList{}, client.InNamespace(metav1.NamespaceDefault),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	w.must(err)
	go func() {
		defer close(t.ended)
		for event := range t.watching.ResultChan() {
			slice, is := event.Object.(*discoveryv1.EndpointSlice)
			if !is {
				t.end(event)
				return
			}
			t.note(event.Type, slice)
		}
	}()
	w.Cleanup(t.watching.Stop)
	return t
}

func (t *townWatch) note(event apiwatch.EventType, slice *discoveryv1.EndpointSlice) {
	service := slice.Labels[discoveryv1.LabelServiceName]
	if service != townAll && !strings.HasPrefix(service, "street-") {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen++
	if t.ready[service] == nil {
		t.ready[service] = map[string]int{}
	}
	t.ready[service][slice.Name] = 0
	if event != apiwatch.Deleted {
		for _, endpoint := range slice.Endpoints {
			if *endpoint.Conditions.Ready {
				t.ready[service][slice.Name]++
			}
		}
	}
	sum := 0
	for _, ready := range t.ready[service] {
		sum += ready
	}
	if sum == 0 {
		t.empty = append(t.empty, fmt.Sprintf("Service %s has no ready endpoint at version %s of slice %s", service, slice.ResourceVersion, slice.Name))
	}
}

func (t *townWatch) versions() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen
}

// end is that of a watch, by itself or since it was stopped.
func (t *townWatch) end(event apiwatch.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stopped {
		t.empty = append(t.empty, fmt.Sprintf("the watch has ended: %v", event.Object))
	}
}

// stop returns what was wrong in between.
func (t *townWatch) stop() []string {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.watching.Stop()
	<-t.ended
	return t.empty
}
