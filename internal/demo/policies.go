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
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/probe"
)

var policyChecks = []Check{
	{"session affinity: a client stays with its pod", affinity},
	{"traffic policy Local: the pod sees who is outside", localPolicy},
	{"loadBalancerSourceRanges: those and no others", sourceRanges},
}

// affinity makes enough connections that two pods drawn at random each time
// would both be met: 2 x 0.5^30. The client at the node is another one.
func affinity(ctx context.Context, b *Bed) (string, error) {
	front, backs, err := b.frontAndBacks(ctx)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "sticky")
	if err != nil {
		return "", err
	}
	address := at(s.Spec.ClusterIP, 80)
	if err := b.answers(ctx, Place{Pod: front[0]}, address, backs); err != nil {
		return "", err
	}
	answers, err := b.ask(ctx, Place{Pod: front[0]}, probe.Request{Protocol: "http", Address: address, Count: 30})
	if err != nil {
		return "", err
	}
	for _, a := range answers {
		if a.Text != answers[0].Text {
			return "", fmt.Errorf("%s answered first, %s later", answers[0].Text, a.Text)
		}
	}
	return "30 of 30 by " + answers[0].Text, nil
}

// localPolicy asks every node: the one with the pod answers and keeps the
// client's address, the others drop.
func localPolicy(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	pod, err := b.pod(ctx, front[0])
	if err != nil {
		return "", err
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	dropping := 0
	for _, n := range nodes {
		address := at(n.addresses[0], 31500)
		if n.name == pod.Spec.NodeName {
			err = b.seesOutside(ctx, address)
		} else {
			dropping++
			err = b.dropped(ctx, Outside, address)
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s answers, %d others drop", pod.Spec.NodeName, dropping), nil
}

// seesOutside waits until who answers sees the address of the world outside.
func (b *Bed) seesOutside(ctx context.Context, address string) error {
	cluster, err := layout.New(1, nil)
	if err != nil {
		return err
	}
	want := cluster.Gateways()[0].String()
	return b.eventually(ctx, func() error {
		answers, err := b.ask(ctx, Outside, probe.Request{Protocol: "http", Address: address, Path: "/clientip", Count: 5})
		if err != nil {
			return err
		}
		for _, a := range answers {
			if got := host(a.Text); got != want {
				return fmt.Errorf("the pod behind %s saw %s, the client is %s", address, got, want)
			}
		}
		return nil
	})
}

// dropped waits until the connection gets no answer of any kind.
func (b *Bed) dropped(ctx context.Context, from Place, address string) error {
	return b.eventually(ctx, func() error {
		answers, err := b.try(ctx, from, probe.Request{Protocol: "tcp", Address: address, Timeout: 500 * time.Millisecond})
		if err != nil {
			return err
		}
		if a := answers[0]; a.Outcome != probe.TimedOut {
			return fmt.Errorf("from %s to %s: %s %s, want no answer", from, address, a.Outcome, a.Error)
		}
		return nil
	})
}

// sourceRanges lets in who is outside, then the pods in their place.
func sourceRanges(ctx context.Context, b *Bed) (string, error) {
	const ip = "203.0.113.21"
	front, backs, err := b.frontAndBacks(ctx)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "guarded")
	if err != nil {
		return "", err
	}
	before := s.DeepCopy()
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: ip}}
	if err := b.Client.Status().Patch(ctx, s, client.MergeFrom(before)); err != nil {
		return "", err
	}
	inside := Place{Pod: front[0]}
	for _, turn := range []struct {
		ranges     string
		in, locked Place
	}{{"172.30.0.0/24", Outside, inside}, {"10.244.0.0/16", inside, Outside}} {
		before := s.DeepCopy()
		s.Spec.LoadBalancerSourceRanges = []string{turn.ranges}
		if err := b.Client.Patch(ctx, s, client.MergeFrom(before)); err != nil {
			return "", err
		}
		if err := b.answers(ctx, turn.in, at(ip, 80), backs); err != nil {
			return "", err
		}
		if err := b.dropped(ctx, turn.locked, at(ip, 80)); err != nil {
			return "", err
		}
	}
	return at(ip, 80) + ": outside, then pods", nil
}
