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
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// checkAddressOfNode is X4. An external IP takes its ports away from whatever
// listens there on the node whose address it is (kubernetes-sigs/kubespray#4993);
// one that is a pod's takes the pod's. What a load-balancer controller hands out
// may be a node's address, because that is what some of them do.
func checkAddressOfNode(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	had, external, added := hadForItsUse(change), addrsOf(externalVIPs(change.New)), addedPorts(change)
	var found []Finding
	for _, v := range distinct(outsideVIPs(change.New)) {
		var detail string
		var err error
		ports := added(v.addr)
		if !had(v.addr) {
			ports = portsOf(change.New)
			detail, err = ownedByPods(ctx, world, v.addr)
		}
		if err == nil && detail == "" && external[v.addr] && len(ports) > 0 {
			detail, err = takenFromNode(ctx, world, v.addr, change.New, ports)
		}
		if err != nil {
			return found, err
		}
		if detail != "" {
			found = append(found, Finding{Path: v.path, Value: v.text,
				Detail: detail + "; use an address that is routed to the nodes and is none of their own, or a node port"})
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// ownedByPods says whose an address on the pods' networks is, or nothing.
func ownedByPods(ctx context.Context, world World, addr netip.Addr) (string, error) {
	pods, err := world.PodsByIP(ctx, addr)
	if err != nil {
		return "", err
	}
	if len(pods) > 0 {
		name, _ := world.PodNameOf(ctx, pods[0])
		return "this is the address of " + name, nil
	}
	nodes, err := world.NodesByPodAddress(ctx, addr)
	if err != nil || len(nodes) == 0 {
		return "", err
	}
	return fmt.Sprintf("this is inside the podCIDRs of %s, from which its pods get their addresses", world.NodeNameOf(ctx, nodes[0])), nil
}

// takenFromNode says what of a node would get no more traffic at these ports of
// its own address, or nothing.
func takenFromNode(ctx context.Context, world World, addr netip.Addr, svc *corev1.Service, ports Ports) (string, error) {
	nodes, err := world.NodesByAddress(ctx, addr)
	if err != nil || len(nodes) == 0 {
		return "", err
	}
	for _, port := range svc.Spec.Ports {
		if !ports[portKey(port)] {
			continue
		}
		who, err := listenerOf(ctx, world, nodes[0], portKey(port))
		if err != nil {
			return "", err
		}
		if who != "" {
			return fmt.Sprintf("this is the address of %s, where %s at port %s", world.NodeNameOf(ctx, nodes[0]), who, portKey(port)), nil
		}
	}
	return "", nil
}

// sshPort is how people get to a node that is in trouble.
const sshPort = 22

// listenerOf says what listens at a port of one node, as far as the cluster knows.
// The API server is X3's, which compares its address, too.
func listenerOf(ctx context.Context, world World, node *corev1.Node, port PortKey) (string, error) {
	if isNodePort(world, port.Port) {
		return "node ports are served", nil
	}
	pods, err := world.PodsByHostPort(ctx, port)
	if err != nil {
		return "", err
	}
	for i, pod := range pods {
		// Of very many, as of a DaemonSet, only some are read.
		if pod.Spec.NodeName == node.Name || i == maxFindings-1 {
			name, _ := world.PodNameOf(ctx, pod)
			return name + " listens", nil
		}
	}
	switch {
	case port.Protocol != corev1.ProtocolTCP:
		return "", nil
	case port.Port == sshPort:
		return "SSH listens", nil
	case port.Port == node.Status.DaemonEndpoints.KubeletEndpoint.Port:
		return "the kubelet listens", nil
	case clusterPorts[port.Port] != "":
		return clusterPorts[port.Port] + " listens", nil
	}
	return "", nil
}

// checkExternalIPOfNode is X21, what X4 leaves of nodes' own addresses: ports
// where nothing is known to listen. Clusters without a load balancer publish
// their ingress like that, so it is a warning. It takes more than its ports where
// kube-proxy runs in IPVS mode, which binds the address on every node, so that no
// node reaches that one any more.
func checkExternalIPOfNode(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	had := addrsOf(externalVIPs(change.Old))
	var found []Finding
	for _, v := range distinct(externalVIPs(change.New)) {
		if had[v.addr] {
			continue
		}
		nodes, err := world.NodesByAddress(ctx, v.addr)
		if err != nil {
			return found, err
		}
		if len(nodes) > 0 {
			found = append(found, Finding{Path: v.path, Value: v.text, Detail: fmt.Sprintf(
				"this is the address of %s, and kube-proxy in IPVS mode takes all ports of it from the node, not only these; better use one that is no node's",
				world.NodeNameOf(ctx, nodes[0]))})
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}
