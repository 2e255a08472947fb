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

package explain

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// randomQuestions makes a world of four Services and asks for each of their
// addresses, and some that are nobody's, from each kind of client.
func randomQuestions(seed uint64) (World, []Question) {
	random := rand.New(rand.NewPCG(seed, 11))
	var services []*corev1.Service
	var slices []*discoveryv1.EndpointSlice
	for i := range 4 {
		services = append(services, randomService(random, i))
		slices = append(slices, randomSlice(random, i))
	}
	w := testWorld(services, slices)
	w.Node.MasqueradeAll = random.IntN(4) == 0
	w.Node.RejectWithoutLocal = random.IntN(4) == 0
	w.Node.RestrictNodePorts = random.IntN(4) == 0
	if random.IntN(3) == 0 {
		w.Node.LocalPods = nil
	}
	if random.IntN(3) == 0 {
		w.Node.ServiceCIDRs = nil
	}
	if random.IntN(2) == 0 {
		w.Place.Zone = "b"
	}
	if random.IntN(4) == 0 {
		w.Features.LocalInterface = "veth*"
	}
	w.Features.RefusePooled = random.IntN(2) == 0
	var questions []Question
	if w.Features.LocalhostNodePorts = random.IntN(4) == 0; w.Features.LocalhostNodePorts {
		for i := range services {
			questions = append(questions, ask("node:127.0.0.1", fmt.Sprint("127.0.0.1:", 30000+i)))
		}
	}
	for _, from := range []string{"10.244.1.5", "10.244.1.99", "10.244.2.5", "203.0.113.9", "8.8.8.8", "node:172.30.0.1"} {
		for _, to := range destinations(w) {
			q := ask(from, to)
			if !q.FromNode {
				q.Interface = []string{"eth0", "veth7"}[random.IntN(2)]
			}
			other := q
			other.Protocol = model.UDP
			questions = append(questions, q, other)
		}
	}
	return w, questions
}

func destinations(w World) []string {
	list := []string{"10.96.9.9:80", "172.30.0.1:22", "172.30.0.2:30000", "10.244.2.5:8080", "1.1.1.1:80"}
	for _, name := range w.Store.Names() {
		port, _ := w.Store.ServicePort(name)
		for _, addr := range slices.Concat(port.ClusterIPs, port.ExternalIPs, port.LoadBalancerIPs) {
			list = append(list, netip.AddrPortFrom(addr, port.Port).String(), netip.AddrPortFrom(addr, port.Port+1).String())
		}
		list = append(list, fmt.Sprint("172.30.0.1:", port.NodePort))
	}
	return list
}

func randomService(random *rand.Rand, i int) *corev1.Service {
	return web(fmt.Sprint("s", i), fmt.Sprint("10.96.0.", 10+i), func(svc *corev1.Service) {
		svc.Spec.Ports[0].NodePort = int32(30000 + i)
		if random.IntN(2) == 0 {
			svc.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
		}
		if random.IntN(2) == 0 {
			svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		}
		if random.IntN(2) == 0 {
			// The node's own address and another's ClusterIP are to be had, too.
			svc.Spec.ExternalIPs = []string{[]string{fmt.Sprint("198.51.100.", 1+i), "172.30.0.1", fmt.Sprint("10.96.0.", 10+(i+1)%4)}[random.IntN(3)]}
		}
		if random.IntN(2) == 0 {
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: []string{fmt.Sprint("192.0.2.", 1+i/2), "172.30.0.1"}[random.IntN(2)]}}
			if random.IntN(2) == 0 {
				fromPool(svc)
			}
		}
		if random.IntN(2) == 0 {
			svc.Spec.LoadBalancerSourceRanges = []string{"203.0.113.0/24", "10.244.0.0/16"}
		}
		if random.IntN(4) == 0 { // the number of another's NodePort
			svc.Spec.Ports[0].Port = int32(30000 + (i+1)%4)
		}
		if random.IntN(3) == 0 {
			svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		}
		svc.Annotations[model.AnnotationScheduler] = []string{"random", "maglev", "weighted"}[random.IntN(3)]
	})
}

func randomSlice(random *rand.Rand, i int) *discoveryv1.EndpointSlice {
	var texts []string
	for n := range random.IntN(5) {
		text := fmt.Sprintf("10.244.%d.%d %s", 1+n%2, 5+n/2, []string{"here", "there"}[n%2])
		text += []string{" ready", " ready", "", " leaving"}[random.IntN(4)]
		if random.IntN(3) > 0 {
			text += []string{" zone:a", " zone:b"}[random.IntN(2)]
		}
		texts = append(texts, text)
	}
	return at(fmt.Sprint("s", i), texts...)
}
