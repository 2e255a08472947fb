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

package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	namespace = "bench"
	nodeName  = "bench-node"
	// portName is that of the one port of every Service.
	portName = "http"
)

// inventory is what the API server holds.
type inventory struct {
	*cluster
	// generations are, per Service, the generation of each of its endpoints.
	generations [][]int
}

// prepare makes what does not depend on the size.
func (v *inventory) prepare(ctx context.Context) error {
	core := v.client.CoreV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	node.Spec.PodCIDR, node.Spec.PodCIDRs = clusterCIDR.String(), []string{clusterCIDR.String()}
	node, err := core.Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: nodeAddress.String()}}
	if _, err := core.Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	for _, special := range specials {
		if err := v.createService(ctx, special.name, special.vip, special.affinity); err != nil {
			return err
		}
		slice := slice(special.name, special.endpoints())
		if _, err := v.client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// grow makes the Services and slices that are missing for size. It never has
// to remove a Service, as sizes grow.
func (v *inventory) grow(ctx context.Context, size size) error {
	pattern, err := v.pattern(ctx)
	if err != nil {
		return err
	}
	var puts []put
	for i := range size.Services {
		if i == len(v.generations) {
			v.generations = append(v.generations, nil)
			puts = append(puts, pattern.service(i), pattern.ipAddress(i))
		}
		if len(v.generations[i]) != size.Endpoints {
			v.generations[i] = make([]int, size.Endpoints)
			puts = append(puts, pattern.slice(i, v.endpoints(i)))
		}
	}
	if err := v.store.write(ctx, puts); err != nil {
		return err
	}
	return v.awaitAll(ctx, size.Services+len(specials), size.Endpoints)
}

// awaitAll waits until the API server has seen what was written behind its
// back. It answers a list of resource version 0 from its cache, as it does for
// the proxies.
func (v *inventory) awaitAll(ctx context.Context, count, endpoints int) error {
	for patience := time.Now().Add(time.Minute); ; {
		services, err := v.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		slices, err := v.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		last := slices.Items[len(slices.Items)-1]
		if len(services.Items) == count && len(slices.Items) == count && len(last.Endpoints) == endpoints {
			return nil
		}
		if time.Now().After(patience) {
			return fmt.Errorf("the API server has %d Services and %d EndpointSlices a minute after they were written", len(services.Items), len(slices.Items))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// replaceOne replaces one endpoint of Service i, as a rolling update does.
func (v *inventory) replaceOne(ctx context.Context, i, endpoint int) error {
	generations := v.generations[i]
	generations[endpoint%len(generations)] ^= 1
	return v.updateSlice(ctx, serviceName(i), v.endpoints(i))
}

func (v *inventory) endpoints(i int) []netip.Addr {
	var addresses []netip.Addr
	for endpoint, generation := range v.generations[i] {
		addresses = append(addresses, endpointAddress(i, endpoint, generation))
	}
	return addresses
}

// serviceName sorts behind the special ones.
func serviceName(i int) string { return fmt.Sprintf("web-%06d", i) }

func (v *inventory) createService(ctx context.Context, name string, vip netip.Addr, affinity corev1.ServiceAffinity) error {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{"app": name}}}
	service.Spec.ClusterIP = vip.String()
	service.Spec.SessionAffinity = affinity
	service.Spec.Ports = []corev1.ServicePort{{Name: portName, Port: servicePort}}
	// A young API server can not allocate until it has seen its ServiceCIDR.
	for patience := 50; ; patience-- {
		_, err := v.client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{})
		if err == nil || patience == 0 || !apierrors.IsInvalid(err) && !apierrors.IsInternalError(err) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (v *inventory) updateSlice(ctx context.Context, name string, addresses []netip.Addr) error {
	_, err := v.client.DiscoveryV1().EndpointSlices(namespace).Update(ctx, slice(name, addresses), metav1.UpdateOptions{})
	return err
}

// slice looks like those of the endpoint slice controller.
func slice(service string, addresses []netip.Addr) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-x7k2p", Namespace: namespace,
			Labels: map[string]string{
				"app": service, discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io",
			},
			Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().UTC().Format(time.RFC3339Nano)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new(portName), Port: new(int32(endpointPort)), Protocol: new(corev1.ProtocolTCP)}},
	}
	for n, address := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses:  []string{address.String()},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
			NodeName:   new(fmt.Sprintf("node-%03d", n)),
			Zone:       new("zone-a"),
			TargetRef: &corev1.ObjectReference{
				Kind: "Pod", Namespace: namespace, Name: fmt.Sprintf("%s-7d9f8c6b5d-%05d", service, n),
				UID: types.UID(fmt.Sprintf("6f1c6c1e-7c7b-4c59-9f5e-%012d", n)),
			},
		})
	}
	return s
}
