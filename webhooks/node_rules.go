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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// nodePort is a port that a Service has on every node.
type nodePort struct {
	path *field.Path
	key  PortKey
	// of is the port of the Service, nil for the health check's.
	of *corev1.ServicePort
}

// nodePorts are the Service's, the health check's among them.
func nodePorts(svc *corev1.Service) []nodePort {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeNodePort && svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	var ports []nodePort
	for i := range svc.Spec.Ports {
		if port := &svc.Spec.Ports[i]; port.NodePort != 0 {
			path := field.NewPath("spec", "ports").Index(i).Child("nodePort")
			ports = append(ports, nodePort{path, PortKey{port.NodePort, protocolOf(port.Protocol)}, port})
		}
	}
	if number := svc.Spec.HealthCheckNodePort; number != 0 {
		ports = append(ports, nodePort{field.NewPath("spec", "healthCheckNodePort"), PortKey{number, corev1.ProtocolTCP}, nil})
	}
	return ports
}

// newNodePorts are those that the change adds.
func newNodePorts(change ServiceChange) []nodePort {
	had := map[PortKey]bool{}
	for _, port := range nodePorts(change.Old) {
		had[port.key] = true
	}
	var added []nodePort
	for _, port := range nodePorts(change.New) {
		if !had[port.key] {
			added = append(added, port)
		}
	}
	return added
}

// checkHostPorts is X6. A node port is taken from whatever listens there
// (kubernetes/kubernetes#76892); outside of the usual range that may be what the
// cluster runs on (kubernetes/kubernetes#40920).
func checkHostPorts(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	var found []Finding
	for _, port := range newNodePorts(change) {
		listener, err := listensAt(ctx, world, port.key)
		if err != nil {
			return found, err
		}
		if listener.what != "" {
			found = append(found, listener.finding(port, drawn(change, port.of)))
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// listener is what has a port of a node, if what is not empty.
type listener struct {
	what string
	// pod tells that anybody who may create pods can have it.
	pod bool
}

// finding refuses the port. Of one that nobody asked for only the cluster's own
// parts are worth that: pods with host ports all over the range would otherwise
// keep every namespace from its NodePorts.
func (l listener) finding(port nodePort, drawn bool) Finding {
	f := Finding{Path: port.path, Value: port.key.Port, Detail: l.what + " and would get no more traffic; "}
	switch {
	case !drawn:
		f.Detail += "ask for another port"
	case l.pod:
		f.Detail += "nobody asked for this port in particular: make the Service again to be given another"
		f.WarnOnly = true
	default:
		f.Detail += "nobody asked for this port in particular, so send the request again to be given another"
	}
	return f
}

// listensAt says who listens at a port of a node.
func listensAt(ctx context.Context, world World, port PortKey) (listener, error) {
	pods, err := world.PodsByHostPort(ctx, port)
	if err != nil {
		return listener{}, err
	}
	if len(pods) > 0 {
		name, _ := world.PodNameOf(ctx, pods[0])
		return listener{fmt.Sprintf("%s listens at port %s of its node", name, port), true}, nil
	}
	what, err := clusterListensAt(ctx, world, port)
	return listener{what: what}, err
}

// clusterListensAt says which part of the cluster listens there, or nothing.
func clusterListensAt(ctx context.Context, world World, port PortKey) (string, error) {
	if port.Protocol != corev1.ProtocolTCP {
		return "", nil
	}
	nodes, err := world.NodesByKubeletPort(ctx, port.Port)
	if err != nil {
		return "", err
	}
	if len(nodes) > 0 {
		return fmt.Sprintf("the kubelet of %s listens at port %s", world.NodeNameOf(ctx, nodes[0]), port), nil
	}
	if who := clusterPorts[port.Port]; who != "" {
		return fmt.Sprintf("%s listens at port %s of nodes", who, port), nil
	}
	return apiServerOnNode(ctx, world, port.Port)
}

// clusterPorts are where the parts of a cluster listen unless told otherwise.
var clusterPorts = map[int32]string{
	2379:  "etcd",
	2380:  "etcd",
	10249: "the service proxy (metrics)",
	10250: "the kubelet",
	10256: "the service proxy (health)",
	10257: "kube-controller-manager",
	10259: "kube-scheduler",
}

// apiServerOnNode compares the port with those of API servers that run on
// nodes; one elsewhere is not in the way. Nothing of the cluster itself listens
// where node ports are given from.
func apiServerOnNode(ctx context.Context, world World, port int32) (string, error) {
	if isNodePort(world, port) {
		return "", nil
	}
	servers, err := world.APIServers(ctx)
	if err != nil {
		return "", err
	}
	for _, server := range servers {
		if int32(server.Port()) != port {
			continue
		}
		nodes, err := world.NodesByAddress(ctx, server.Addr())
		if err != nil {
			return "", err
		}
		if len(nodes) > 0 {
			return fmt.Sprintf("the Kubernetes API server listens at port %d of %s", port, world.NodeNameOf(ctx, nodes[0])), nil
		}
	}
	return "", nil
}

// isNodePort tells whether node ports are given from there.
func isNodePort(world World, port int32) bool {
	ports := world.NodePortRange()
	return port >= ports.First && port <= ports.Last
}
