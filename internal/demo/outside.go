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
)

var outsideChecks = []Check{
	{"externalIPs, from outside and from a pod", externalIP},
	{"LoadBalancer with an address of the pool: from a pod, and by NodePort", loadBalancer},
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
	front, pods, err := b.frontAndBacks(ctx)
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

// loadBalancer waits for the address that the manager gives.
func loadBalancer(ctx context.Context, b *Bed) (string, error) {
	front, pods, err := b.frontAndBacks(ctx)
	if err != nil {
		return "", err
	}
	var ip string
	err = b.eventually(ctx, func() error {
		s, err := b.service(ctx, "balanced")
		if err != nil {
			return err
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("status has no address: %v", s.Status.Conditions)
		}
		ip = s.Status.LoadBalancer.Ingress[0].IP
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := b.answers(ctx, Place{Pod: front[0]}, at(ip, 80), pods); err != nil {
		return "", err
	}
	ports, err := b.nodePorts(ctx, "balanced", "back", 2)
	return at(ip, 80) + ", " + ports, err
}
