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

package why

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// dnsLabel is on the Services of the cluster's DNS in most clusters, whatever answers;
// one of them usually has this name.
const (
	dnsLabel = "k8s-app"
	dnsName  = "kube-dns"
)

// dnsServer finds the Service of the cluster's DNS, and whether anybody answers for
// it. There may be several, as that by which a cache on each node asks on. Where
// there is none of that label nothing is known.
func (r *reading) dnsServer(ctx context.Context) {
	within := client.InNamespace(metav1.NamespaceSystem)
	services, err := collect(ctx, r.Reader, &corev1.ServiceList{}, func(l *corev1.ServiceList) []corev1.Service { return l.Items },
		everything, within, client.MatchingLabels{dnsLabel: dnsName})
	if err != nil || len(services) == 0 {
		r.noDNSServer(err)
		return
	}
	server := &diagnosis.DNSServer{Service: client.ObjectKeyFromObject(services[0])}
	for _, service := range services {
		if service.Name == dnsName {
			server.Service = client.ObjectKeyFromObject(service)
		}
		slices, err := collect(ctx, r.Reader, &discoveryv1.EndpointSliceList{}, func(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items },
			everything, within, client.MatchingLabels{discoveryv1.LabelServiceName: service.Name})
		if err != nil {
			r.noDNSServer(err)
			return
		}
		for _, slice := range slices {
			server.Endpoints += len(slice.Endpoints)
			server.Ready += answering(slice)
		}
	}
	r.facts.DNSServer = server
}

func (r *reading) noDNSServer(err error) {
	if err == nil {
		return
	}
	reason := explain(err)
	if reason == mayNot {
		reason = "you may not look at namespace " + metav1.NamespaceSystem
	}
	r.gaps.add(gap{"the cluster's DNS server", reason, "whether it runs was not checked"})
}

// answering counts the endpoints that take questions, if only until they end.
func answering(slice *discoveryv1.EndpointSlice) (n int) {
	for i := range slice.Endpoints {
		if c := slice.Endpoints[i].Conditions; c.Ready == nil || *c.Ready || c.Serving != nil && *c.Serving {
			n++
		}
	}
	return n
}
