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
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	upstream "k8s.io/kubernetes/pkg/api/v1/endpoints"
)

// otherPorts is the history of a mirror of both families, all of whose ports change
// once it is there. Of what is changed at once kube-controller-manager sees the end
// alone.
func otherPorts() *history {
	h := emptyHistory(0, 0)
	h.name = "the mirror whose ports change"
	h.do(step{verb: create, object: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}})
	for _, port := range []int32{8080, 9090} {
		endpoints := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
		for i := range int32(3) {
			endpoints.Subsets = append(endpoints.Subsets, corev1.EndpointSubset{
				Addresses: []corev1.EndpointAddress{{IP: fmt.Sprint("10.8.0.", 1+i)}, {IP: fmt.Sprint("fd00:8::", 1+i)}},
				Ports:     []corev1.EndpointPort{{Name: "http", Port: port + i}},
			})
		}
		h.do(step{verb: put, object: endpoints})
		h.do(step{verb: await, object: &discoveryv1.EndpointSlice{}, labels: map[string]string{discoveryv1.LabelServiceName: "web"}, count: 6})
		h.endpoints["web"] = endpoints
	}
	return h
}

// mirrorsOf begins the lines of the slices that mirror Endpoints.
func mirrorsOf(name string) string {
	return fmt.Sprintf("slices of %s by %s: ", name, mirroringController)
}

// leaveOutStuck leaves out mirrors that kube-controller-manager may not get to
// write: to use a slice again it strikes the first off its list of those to make,
// and if that is one of the other family it makes one that is there already.
func (r *reader) leaveOutStuck(all []discoveryv1.EndpointSlice) {
	for name, endpoints := range r.endpoints {
		want, have := r.mirrorsWanted(endpoints), map[string]map[string]bool{}
		for i := range all {
			if slice := &all[i]; slice.Labels[discoveryv1.LabelServiceName] == name && slice.Labels[discoveryv1.LabelManagedBy] == mirroringController {
				family := string(slice.AddressType)
				if have[family] == nil {
					have[family] = map[string]bool{}
				}
				have[family][portsOfSlice(slice)] = true
			}
		}
		if !mayStick(want, have) {
			continue
		}
		r.documented[mirrorSticks]++
		r.stuck[name] = true
		for i := range all {
			if strings.HasPrefix(all[i].Name, name+"-") {
				r.rewritten["slice "+all[i].Name] = true
			}
		}
	}
}

// mayStick is true if slices of both families are to be made, and one of a family
// of them to go.
func mayStick(want, have map[string]map[string]bool) bool {
	missing, replaced := 0, 0
	for family := range want {
		if !subset(want[family], have[family]) {
			missing++
			if !subset(have[family], want[family]) {
				replaced++
			}
		}
	}
	return missing > 1 && replaced > 0
}

func subset(part, whole map[string]bool) bool {
	for key := range part {
		if !whole[key] {
			return false
		}
	}
	return true
}

// mirrorsWanted are the sets of ports of each family that a mirror has to have.
func (r *reader) mirrorsWanted(endpoints *corev1.Endpoints) map[string]map[string]bool {
	wanted := map[string]map[string]bool{}
	for _, subset := range upstream.RepackSubsets(endpoints.DeepCopy().Subsets) {
		addresses := slices.Concat(subset.Addresses, subset.NotReadyAddresses)
		for _, address := range addresses[:min(len(addresses), maxPerSubset)] {
			family := "IPv4"
			if strings.Contains(address.IP, ":") {
				family = "IPv6"
			}
			if wanted[family] == nil {
				wanted[family] = map[string]bool{}
			}
			wanted[family][r.portsOf(subset.Ports)] = true
		}
	}
	return wanted
}
