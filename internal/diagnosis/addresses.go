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

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// addresses is about what the Service is reached by, and who has to give it.
func (e *examination) addresses() Step {
	if e.externalName() {
		return e.externalNameTarget()
	}
	step := Step{State: OK, Message: "it has " + enumerate(e.addressList(), 2*maxNames)}
	for _, find := range []func(*examination, *Step) bool{noClusterIP, notExposed, unallocated, noNodePort, noLoadBalancer, notAnnounced} {
		if find(e, &step) {
			break
		}
	}
	step.Details = append(step.Details, e.addressHints()...)
	return step
}

// addressList names every address and NodePort, with the field that it is in.
func (e *examination) addressList() []string {
	spec := &e.Service.Spec
	var list []string
	switch {
	case e.headless():
		list = append(list, "no ClusterIP (headless: its name leads to the pods themselves)")
	case len(clusterIPs(spec)) > 0:
		list = append(list, "ClusterIP "+strings.Join(clusterIPs(spec), " and "))
	}
	if ports := nodePorts(spec); len(ports) > 0 {
		list = append(list, "NodePort "+enumerate(ports, maxNames))
	}
	if given := loadBalancerAddresses(e.Service); len(given) > 0 {
		list = append(list, "load balancer "+enumerate(given, maxNames))
	}
	if len(spec.ExternalIPs) > 0 {
		list = append(list, "externalIPs "+enumerate(spec.ExternalIPs, maxNames))
	}
	if len(list) == 0 {
		list = append(list, "no address")
	}
	return list
}

func noClusterIP(e *examination, step *Step) bool {
	if e.headless() || len(clusterIPs(&e.Service.Spec)) > 0 {
		return false
	}
	*step = Step{State: Problem, Reason: NoClusterIP, Message: "it has no ClusterIP, which the API server gives when the Service is created",
		Remedy: "create it anew"}
	return true
}

// unallocated are numbers that are not the Service's to have.
func unallocated(e *examination, step *Step) bool { return numberFindings(e.Numbers, true, step) }

func noNodePort(e *examination, step *Step) bool {
	if !e.wantsNodePorts() {
		return false
	}
	var without []string
	for i, port := range e.Service.Spec.Ports {
		if port.NodePort == 0 {
			without = append(without, portName(&e.Service.Spec.Ports[i]))
		}
	}
	if len(without) == 0 {
		return false
	}
	if e.Client != nil && e.Client.Pod != nil {
		step.Details = append(step.Details, "there is no NodePort for "+enumerate(without, maxNames)+", which pods and nodes do not need")
		return false
	}
	*step = Step{State: Warning, Reason: NoNodePort, Message: "there is no NodePort for " + enumerate(without, maxNames),
		Remedy: "update the Service without a nodePort for it, so that the API server gives one"}
	return true
}

func (e *examination) wantsNodePorts() bool {
	switch typeOf(e.Service) {
	case corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeLoadBalancer:
		return e.Service.Spec.AllocateLoadBalancerNodePorts == nil || *e.Service.Spec.AllocateLoadBalancerNodePorts
	}
	return false
}

// notExposed is a client outside that has no way in.
func notExposed(e *examination, step *Step) bool {
	spec := &e.Service.Spec
	if !e.clientOutside() || len(nodePorts(spec)) > 0 || len(loadBalancerAddresses(e.Service)) > 0 || len(spec.ExternalIPs) > 0 {
		return false
	}
	if typeOf(e.Service) == corev1.ServiceTypeLoadBalancer {
		pending := e.pending()
		*step = Step{State: Problem, Reason: LoadBalancerPending, Message: pending.Message + ", and it has no NodePorts", Remedy: pending.Remedy}
		return true
	}
	*step = Step{State: Problem, Reason: NotExposed,
		Message: fmt.Sprintf("it is reached from within the cluster only, and %s is outside", e.Client.Address),
		Remedy:  "change spec.type to NodePort or LoadBalancer"}
	if e.headless() {
		step.Remedy = "make another Service of type NodePort or LoadBalancer for the same pods"
	}
	return true
}

func (e *examination) clientOutside() bool {
	return e.Client != nil && e.Client.Pod == nil && e.Client.Address.IsValid()
}

func noLoadBalancer(e *examination, step *Step) bool {
	if typeOf(e.Service) != corev1.ServiceTypeLoadBalancer || len(loadBalancerAddresses(e.Service)) > 0 {
		return false
	}
	pending := e.pending()
	if e.Client != nil && e.Client.Pod != nil {
		step.Details = append(step.Details, pending.Message+", which pods and nodes do not need")
		return false
	}
	*step = pending
	return true
}

// notAnnounced is an address that leads nowhere from outside.
func notAnnounced(e *examination, step *Step) bool {
	if len(e.Unannounced) == 0 {
		return false
	}
	message := "no node answers for " + enumerate(e.Unannounced, maxNames) + " on the nodes' network"
	if e.Client != nil && e.Client.Pod != nil {
		step.Details = append(step.Details, message+", which pods and nodes do not need")
		return false
	}
	*step = Step{State: Warning, Reason: AddressNotAnnounced, Message: message,
		Remedy: "see whether a node is Ready, without the label " + corev1.LabelNodeExcludeBalancers +
			", and with externalTrafficPolicy Local has a ready endpoint; its agent's log says whether it can announce"}
	return true
}

// pending is a Service that waits for its load balancer.
func (e *examination) pending() Step {
	step := Step{State: Warning, Reason: LoadBalancerPending, Message: "no load balancer has given it an address",
		Remedy: "see whether a load balancer controller runs in this cluster and what its Events say about the Service"}
	if class := e.Service.Spec.LoadBalancerClass; class != nil {
		step.Message = fmt.Sprintf("no load balancer of class %s has given it an address", *class)
		step.Remedy = fmt.Sprintf("see whether a controller for spec.loadBalancerClass %s runs; the class can only be changed by creating the Service anew", *class)
	}
	if why := e.addressRefused(); why != "" {
		step.Message = "it has no load-balancer address: " + why
		step.Remedy = "see what the AddressPools with use LoadBalancer have for this namespace (kubectl get addresspools), and what the Service asks for"
		return step
	}
	if asked := e.Service.Spec.LoadBalancerIP; asked != "" {
		step.Message += ", which was to be " + asked
	}
	return step
}

// addressRefused is why Switchyard itself gives it none, as the condition has it.
func (e *examination) addressRefused() string {
	for i := range e.Service.Status.Conditions {
		c := &e.Service.Status.Conditions[i]
		if c.Type == v1alpha1.LoadBalancerAddressAssigned && c.Status == metav1.ConditionFalse {
			return Printable(c.Message)
		}
	}
	return ""
}

// addressHints are oddities that keep nobody out.
func (e *examination) addressHints() []string {
	spec := &e.Service.Spec
	var hints []string
	if asked := spec.LoadBalancerIP; asked != "" && len(loadBalancerAddresses(e.Service)) > 0 && !slices.Contains(loadBalancerAddresses(e.Service), asked) {
		hints = append(hints, "spec.loadBalancerIP asks for "+asked+", which the load balancer did not give")
	}
	if typeOf(e.Service) == corev1.ServiceTypeLoadBalancer && !e.wantsNodePorts() && len(nodePorts(spec)) == 0 {
		hints = append(hints, "it has no NodePorts (allocateLoadBalancerNodePorts is false), so its load balancer has to reach pods or ClusterIPs directly")
	}
	if e.headless() {
		for i, port := range spec.Ports {
			if target := port.TargetPort.IntValue(); target != 0 && target != int(port.Port) {
				hints = append(hints, fmt.Sprintf("nothing translates ports of a headless Service: clients have to use %d, not %s", target, portName(&spec.Ports[i])))
			}
		}
	}
	return hints
}

func clusterIPs(spec *corev1.ServiceSpec) []string {
	if len(spec.ClusterIPs) == 0 && spec.ClusterIP != "" {
		return []string{spec.ClusterIP}
	}
	return slices.DeleteFunc(slices.Clone(spec.ClusterIPs), func(ip string) bool { return ip == "" || ip == corev1.ClusterIPNone })
}

// nodePorts are those that there are, with the names of their ports.
func nodePorts(spec *corev1.ServiceSpec) []string {
	var list []string
	for i, port := range spec.Ports {
		if port.NodePort != 0 {
			list = append(list, fmt.Sprintf("%d for %s", port.NodePort, portName(&spec.Ports[i])))
		}
	}
	return list
}

func loadBalancerAddresses(service *corev1.Service) []string {
	var list []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		for _, text := range []string{ingress.IP, ingress.Hostname} {
			if text != "" {
				list = append(list, text)
			}
		}
	}
	return list
}

// portName is how a port of the Service is spoken of: "port 80" or "port http (80)".
func portName(port *corev1.ServicePort) string {
	text := portNumber(port)
	if protocol := protocolOf(port.Protocol); protocol != corev1.ProtocolTCP {
		text += " " + string(protocol)
	}
	return text
}

// portNumber is portName where its protocol is spoken of by itself.
func portNumber(port *corev1.ServicePort) string {
	if port.Name != "" {
		return fmt.Sprintf("port %s (%d)", port.Name, port.Port)
	}
	return fmt.Sprintf("port %d", port.Port)
}

func protocolOf(protocol corev1.Protocol) corev1.Protocol {
	if protocol == "" {
		return corev1.ProtocolTCP
	}
	return protocol
}
