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

package who

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

// ServiceAnswer is all about the numbers of one Service.
type ServiceAnswer struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Exists is false for a Service that only has reservations.
	Exists  bool               `json:"exists"`
	Type    corev1.ServiceType `json:"type,omitempty"`
	Created *time.Time         `json:"created,omitempty"`
	// Retain is the annotation switchyard.dev/retain.
	Retain string `json:"retain,omitempty"`
	// Numbers are those it holds, each with all that is known of it.
	Numbers []Answer `json:"numbers"`
	// Reservations are those for it that it does not hold.
	Reservations []Reservation      `json:"reservations"`
	NotRead      []inventory.Unread `json:"notRead"`
}

// ServiceNumbers answers what a Service has. The error says that there is neither the Service
// nor a reservation for it, and where there is one of that name.
func (a Asker) ServiceNumbers(key types.NamespacedName) (ServiceAnswer, error) {
	answer := ServiceAnswer{
		Namespace: key.Namespace, Name: key.Name,
		Numbers: []Answer{}, Reservations: []Reservation{}, NotRead: append([]inventory.Unread{}, a.Unread...),
	}
	held := map[allocator.Number]bool{}
	service, exists := a.Service(key)
	if exists {
		created := service.CreationTimestamp.UTC()
		answer.Exists, answer.Type, answer.Created = true, cmp.Or(service.Spec.Type, corev1.ServiceTypeClusterIP), &created
		answer.Retain = service.Annotations[v1alpha1.RetainAnnotation]
		for _, n := range numbersOf(service) {
			if held[n] {
				continue
			}
			held[n] = true
			number := a.Number(n)
			number.NotRead = []inventory.Unread{} // said once, of all
			answer.Numbers = append(answer.Numbers, number)
		}
	}
	for _, r := range a.Numbers.Reservations() {
		if r.For(key) && !held[r.Number] {
			answer.Reservations = append(answer.Reservations, *a.reservation(r))
		}
	}
	if !exists && len(answer.Reservations) == 0 {
		return answer, a.unknown(key)
	}
	return answer, nil
}

// Conflict tells whether something is wrong with one of the numbers.
func (s ServiceAnswer) Conflict() bool {
	return slices.ContainsFunc(s.Numbers, func(a Answer) bool { return a.State == Conflict })
}

func (a Asker) unknown(key types.NamespacedName) error {
	for i := range a.Services {
		if a.Services[i].Name == key.Name {
			return fmt.Errorf("there is no Service %s in namespace %s, but one in %s: ask for %[3]s/%[1]s", key.Name, key.Namespace, a.Services[i].Namespace)
		}
	}
	return fmt.Errorf("there is no Service %s, and no reservation for one of that name: `kubectl get services -A` lists all", key)
}

// numbersOf are all numbers of a Service, those that several may have last.
func numbersOf(service *corev1.Service) []allocator.Number {
	var numbers []allocator.Number
	for _, holding := range allocator.HoldingsOf(service) {
		numbers = append(numbers, holding.Number)
	}
	for _, address := range inventory.AddressesOf(service) {
		numbers = append(numbers, allocator.AddrNumber(address.Addr))
	}
	return numbers
}
