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

package demo

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var outsideChecks = []Check{
	{"externalIPs, from outside and from a pod", externalIP},
	{"LoadBalancer without an address: by NodePort", pendingLoadBalancer},
	{"LoadBalancer once its status has an ingress IP", readyLoadBalancer},
}

func externalIP(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "external-ip")
	if err != nil {
		return "", err
	}
	return b.fromOutsideAndPod(ctx, s.Spec.ExternalIPs[0])
}

// fromOutsideAndPod reaches port 80 of an address that leads to "back".
func (b *Bed) fromOutsideAndPod(ctx context.Context, ip string) (string, error) {
	pods, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	for _, from := range []Place{Outside, {Pod: front[0]}} {
		if err := b.answers(ctx, from, at(ip, 80), pods); err != nil {
			return "", err
		}
	}
	return at(ip, 80), nil
}

func pendingLoadBalancer(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "balanced")
	if err != nil {
		return "", err
	}
	if n := len(s.Status.LoadBalancer.Ingress); n > 0 {
		return "", fmt.Errorf("status has %d ingress addresses, and nobody was asked for one", n)
	}
	return b.nodePorts(ctx, "balanced", "back", 2)
}

// readyLoadBalancer does what a cloud's controller would: it writes the
// address into the Service's status.
func readyLoadBalancer(ctx context.Context, b *Bed) (string, error) {
	const ip = "203.0.113.20"
	s, err := b.service(ctx, "balanced")
	if err != nil {
		return "", err
	}
	before := s.DeepCopy()
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: ip}}
	if err := b.Client.Status().Patch(ctx, s, client.MergeFrom(before)); err != nil {
		return "", err
	}
	return b.fromOutsideAndPod(ctx, ip)
}
