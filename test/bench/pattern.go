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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// pattern is what the API server made of one Service, its address and its
// slice. All others are made after it.
type pattern struct {
	aService  *corev1.Service
	anAddress *networkingv1.IPAddress
	aSlice    *discoveryv1.EndpointSlice
}

func (v *inventory) pattern(ctx context.Context) (p pattern, err error) {
	if p.aService, err = v.client.CoreV1().Services(namespace).Get(ctx, switching.name, metav1.GetOptions{}); err != nil {
		return p, err
	}
	if p.anAddress, err = v.client.NetworkingV1().IPAddresses().Get(ctx, switching.vip.String(), metav1.GetOptions{}); err != nil {
		return p, err
	}
	p.aSlice, err = v.client.DiscoveryV1().EndpointSlices(namespace).Get(ctx, slice(switching.name, nil).Name, metav1.GetOptions{})
	return p, err
}

func (p pattern) service(i int) put {
	s := p.aService.DeepCopy()
	s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	stored(&s.ObjectMeta, serviceName(i))
	s.Labels = map[string]string{"app": s.Name}
	s.Spec.ClusterIP = clusterIP(i).String()
	s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	return put{fmt.Sprintf("services/specs/%s/%s", s.Namespace, s.Name), s}
}

func (p pattern) ipAddress(i int) put {
	a := p.anAddress.DeepCopy()
	a.TypeMeta = metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "IPAddress"}
	stored(&a.ObjectMeta, clusterIP(i).String())
	a.Spec.ParentRef.Name = serviceName(i)
	return put{"ipaddresses/" + a.Name, a}
}

func (p pattern) slice(i int, addresses []netip.Addr) put {
	s, wanted := p.aSlice.DeepCopy(), slice(serviceName(i), addresses)
	s.TypeMeta = metav1.TypeMeta{APIVersion: discoveryv1.SchemeGroupVersion.String(), Kind: "EndpointSlice"}
	stored(&s.ObjectMeta, wanted.Name)
	s.Labels, s.Annotations, s.Endpoints = wanted.Labels, wanted.Annotations, wanted.Endpoints
	return put{fmt.Sprintf("endpointslices/%s/%s", s.Namespace, s.Name), s}
}

// stored makes the metadata those of another object, as they are in etcd.
func stored(meta *metav1.ObjectMeta, name string) {
	meta.Name, meta.UID, meta.ResourceVersion = name, uuid.NewUUID(), ""
}
