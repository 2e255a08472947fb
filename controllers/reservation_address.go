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

package controllers

import (
	"context"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// spareAddresses chooses the ClusterIPs of the Services that hold reserved ports.
type spareAddresses struct {
	client client.Reader
	index  *allocator.Services
}

func (s spareAddresses) choose(ctx context.Context, service *corev1.Service) (netip.Addr, error) {
	namespace, err := namespaceLabels(ctx, s.client, service.Namespace)
	if err != nil {
		return netip.Addr{}, err
	}
	return s.index.SpareAddr(namespace, service.Labels)
}
