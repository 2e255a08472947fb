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

package endpoints

import (
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// crowd is a Service with pods 1 to n, which are as many endpoints. The pods are
// first, so that the slices but one are full.
func (s scene) crowd(n int) (steady []string) {
	GinkgoHelper()
	steady = s.pods("web", 1, n)
	s.service("web")
	Eventually(s.endpoints("web")).Should(HaveLen(n))
	Eventually(s.addresses("web")).Should(HaveLen(n))
	return steady
}

// pods creates those of these numbers, several at a time.
func (s scene) pods(app string, first, last int, changes ...func(*corev1.Pod)) (addresses []string) {
	GinkgoHelper()
	numbers := make(chan int)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			defer GinkgoRecover()
			for i := range numbers {
				s.pod(fmt.Sprint(app, "-", i), app, fmt.Sprint(i), append([]func(*corev1.Pod){address(i)}, changes...)...)
			}
		})
	}
	for i := first; i <= last; i++ {
		addresses = append(addresses, addressOf(i))
		numbers <- i
	}
	close(numbers)
	group.Wait()
	return addresses
}

func addressOf(i int) string { return fmt.Sprintf("10.1.%d.%d", i/250, i%250) }

// address numbers pods beyond the last byte.
func address(i int) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.PodIP = addressOf(i)
		pod.Status.PodIPs = []corev1.PodIP{{IP: addressOf(i)}, {IP: fmt.Sprintf("fd00:1::%x", i)}}
	}
}

// custom are Endpoints by hand, of two groups of ports and both families.
func (s scene) custom() (steady []string) {
	GinkgoHelper()
	s.service("db", noSelector)
	s.handMade("db", func(object *corev1.Endpoints) {
		object.Labels = map[string]string{"team": "blue"}
		object.Subsets[0].Addresses = addressList("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1")
		object.Subsets = append(object.Subsets, corev1.EndpointSubset{
			Addresses: addressList("192.0.2.4"),
			Ports:     []corev1.EndpointPort{{Name: "http", Port: 9090, Protocol: corev1.ProtocolTCP}},
		})
	})
	Eventually(s.endpoints("db")).Should(HaveLen(5))
	return []string{"192.0.2.1", "192.0.2.3", "192.0.2.4", "2001:db8::1"}
}

func addressList(addresses ...string) (list []corev1.EndpointAddress) {
	for _, address := range addresses {
		list = append(list, corev1.EndpointAddress{IP: address})
	}
	return list
}

// changeCustom has one go, one come, and one get the port of the other group.
func (s scene) changeCustom() {
	GinkgoHelper()
	update(s, &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "db"}}, func(object *corev1.Endpoints) {
		object.Labels = map[string]string{"team": "red"}
		object.Subsets[0].Addresses = addressList("192.0.2.1", "2001:db8::1")
		object.Subsets[1].Addresses = addressList("192.0.2.3", "192.0.2.4", "192.0.2.5")
	})
}

func (s scene) expectCustomEnd() {
	GinkgoHelper()
	Eventually(s.endpoints("db")).Should(Equal([]endpoint{
		{"192.0.2.1", 8080, "+ready"}, {"192.0.2.3", 9090, "+ready"}, {"192.0.2.4", 9090, "+ready"},
		{"192.0.2.5", 9090, "+ready"}, {"2001:db8::1", 8080, "+ready"},
	}))
	Eventually(s.teams).WithArguments("db").Should(Equal(map[string]int{"red": 3}))
}

// relabel has every slice of the Service written.
func (s scene) relabel(value string) {
	GinkgoHelper()
	s.updateService("web", func(service *corev1.Service) { service.Labels["team"] = value })
}

func (s scene) teams(service string) map[string]int {
	GinkgoHelper()
	found := map[string]int{}
	for _, slice := range s.slices(service) {
		found[slice.Labels["team"]]++
	}
	return found
}
