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

package trace

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/internal/dataplane/explain"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/lookup"
)

// advise says what a user can mend, or where to look next. The step before the
// outcome is the reason for it.
func (o Objects) advise(a Answer, asked Asked) []string {
	svc := o.service(a.Service)
	switch reason := a.reason(); {
	case a.Outcome.End == explain.PassedOn:
		return o.adviseElsewhere(a, asked)
	case a.Outcome.End == explain.ToEndpoints:
		return nil
	case reason == "source ranges":
		bits := a.question.Source.BitLen()
		return []string{fmt.Sprintf("To let it in, add %s/%d, or a range around it, to spec.loadBalancerSourceRanges of Service %s.",
			a.question.Source, bits, name(svc))}
	case svc != nil && len(a.elsewhere()) > 0 && (a.Outcome.End == explain.Dropped || o.anyReady(svc)):
		return a.adviseLocal(svc, a.elsewhere())
	case svc != nil:
		return o.adviseEndpoints(a, svc)
	case reason == "ports":
		return []string{"Use a port that the Service has, or add this one to its spec.ports."}
	}
	return []string{"Ask for the Service by its name: the client may have an address from before the Service was made again."}
}

// reason is what the step before the outcome is about.
func (a Answer) reason() string {
	if len(a.Steps) < 2 {
		return ""
	}
	return a.Steps[len(a.Steps)-2].About
}

// service finds the Service of a ServicePort as text, "shop/web:http/TCP", or
// nil.
func (o Objects) service(port string) *corev1.Service {
	for i := range o.Services {
		svc := &o.Services[i]
		if rest, ok := strings.CutPrefix(port, name(svc)); ok && rest != "" && strings.Contains(":/", rest[:1]) {
			return svc
		}
	}
	return nil
}

func name(svc *corev1.Service) string {
	if svc == nil {
		return ""
	}
	return svc.Namespace + "/" + svc.Name
}

// adviseElsewhere says which node would have the NodePort that was asked for.
func (o Objects) adviseElsewhere(a Answer, asked Asked) []string {
	owner := o.ownerOf(a.question.Destination.Addr())
	if owner == "" || owner == a.Node {
		return nil
	}
	advice := []string{fmt.Sprintf("The address is %s's: `switchyard trace --node %s` says what that node does with it.", owner, owner)}
	if asked.Source.Kind == lookup.Pod && !asked.Source.HostNetwork {
		advice = append(advice, "Many networks give what leaves for a node the sender's node's address: then --from that node.")
	}
	return advice
}

// elsewhere are the nodes whose endpoints a Local policy leaves out.
func (a Answer) elsewhere() []string {
	var nodes []string
	for _, e := range a.Endpoints {
		if e.Why == policy.OnAnotherNode.String() && !slices.Contains(nodes, e.Node) {
			nodes = append(nodes, e.Node)
		}
	}
	return nodes
}

// anyReady says whether some node has an endpoint that takes connections.
func (o Objects) anyReady(svc *corev1.Service) bool {
	for i := range o.Slices {
		slice := &o.Slices[i]
		if slice.Namespace != svc.Namespace || slice.Labels[discoveryv1.LabelServiceName] != svc.Name {
			continue
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				return true
			}
		}
	}
	return false
}

// adviseLocal is for a Local policy without endpoint on this node.
func (a Answer) adviseLocal(svc *corev1.Service, nodes []string) []string {
	there := fmt.Sprintf("The Service's endpoints are on %s.", strings.Join(nodes, ", "))
	field := "spec.externalTrafficPolicy"
	if slices.Contains(svc.Spec.ClusterIPs, a.question.Destination.Addr().String()) {
		field = "spec.internalTrafficPolicy"
	} else {
		there += " Connect there, or let the load balancer ask each node's health check first."
	}
	return []string{there, fmt.Sprintf("Or set %s of Service %s to Cluster, or run a pod of it on %s.", field, name(svc), a.Node)}
}

// adviseEndpoints says why a Service has no endpoint that takes connections.
func (o Objects) adviseEndpoints(a Answer, svc *corev1.Service) []string {
	for _, e := range a.Endpoints {
		if e.Pod != "" {
			return []string{fmt.Sprintf("None of its endpoints is ready: `kubectl describe pod -n %s %s` says why of one.", svc.Namespace, e.Pod)}
		}
	}
	switch {
	case len(a.Endpoints) > 0:
		return []string{fmt.Sprintf("None of its endpoints is ready: `kubectl get endpointslices -n %s -l kubernetes.io/service-name=%s -o yaml` shows them.",
			svc.Namespace, svc.Name)}
	case len(svc.Spec.Selector) == 0:
		return []string{fmt.Sprintf("Service %s has no selector and nobody made an EndpointSlice for it: make one with the label kubernetes.io/service-name=%s.",
			name(svc), svc.Name)}
	}
	return []string{o.adviseSelector(svc)}
}

// adviseSelector tells no pods from pods without that port.
func (o Objects) adviseSelector(svc *corev1.Service) string {
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	matching := 0
	for i := range o.Pods {
		if o.Pods[i].Namespace == svc.Namespace && selector.Matches(labels.Set(o.Pods[i].Labels)) {
			matching++
		}
	}
	text := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: svc.Spec.Selector})
	if matching == 0 {
		return fmt.Sprintf("No pod of namespace %s has the labels that Service %s selects (%s): `kubectl get pods -n %s --show-labels` lists theirs.",
			svc.Namespace, svc.Name, text, svc.Namespace)
	}
	return fmt.Sprintf("%d pods match the selector (%s), but none is an endpoint of this port and IP family: "+
		"`kubectl get pods -n %s -l %s -o wide` shows their addresses, and a targetPort by name must be one of theirs.",
		matching, text, svc.Namespace, text)
}
