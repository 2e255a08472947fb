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
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/probe"
)

var callChecks = []Check{
	{"front calls back, port 19 to 9999", frontCallsBack(false)},
	{"front calls back over IPv6", frontCallsBack(true)},
	{"back calls front, port 17 to 7777", backCallsFront},
	{"a pod's own address is what its peer sees", sourceIsKept},
	{"a pod reaches itself through its Service", hairpin},
	{"every node reaches a ClusterIP", nodesCallBack},
}

// frontCallsBack makes enough calls that a uniform choice between two pods
// misses neither: 2 x 0.5^60.
func frontCallsBack(v6 bool) func(context.Context, *Bed) (string, error) {
	return func(ctx context.Context, b *Bed) (string, error) {
		front, err := b.readyPods(ctx, "front", 1)
		if err != nil {
			return "", err
		}
		return b.spread(ctx, Place{Pod: front[0]}, "back", 19, v6, 2)
	}
}

// spread waits until the service answers from exactly n pods, and counts how
// 60 connections were spread over them.
func (b *Bed) spread(ctx context.Context, from Place, app string, port int32, v6 bool, n int) (string, error) {
	pods, err := b.readyPods(ctx, app, n)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, app)
	if err != nil {
		return "", err
	}
	ip, err := clusterIP(s, v6)
	if err != nil {
		return "", err
	}
	var counted string
	err = b.eventually(ctx, func() error {
		answers, err := b.ask(ctx, from, probe.Request{Protocol: "http", Address: at(ip, port), Count: 60})
		if err != nil {
			return err
		}
		counted, err = count(answers, pods)
		return err
	})
	return fmt.Sprintf("%s: %s", at(ip, port), counted), err
}

// count tells how many answers came from each pod; it is an error when one of
// them never answered, or another one did.
func count(answers []probe.Answer, want []string) (string, error) {
	times := map[string]int{}
	for _, a := range answers {
		times[a.Text]++
	}
	var names, parts []string
	for name := range times {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %d", name, times[name]))
	}
	seen := strings.Join(parts, ", ")
	if strings.Join(names, " ") != strings.Join(want, " ") {
		return "", fmt.Errorf("answers from %s, want them from %s", seen, strings.Join(want, " and "))
	}
	return seen, nil
}

func backCallsFront(ctx context.Context, b *Bed) (string, error) {
	front, backs, err := b.frontAndBacks(ctx)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "front")
	if err != nil {
		return "", err
	}
	for _, back := range backs {
		if err := b.answers(ctx, Place{Pod: back}, at(s.Spec.ClusterIP, 17), front); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s answered both", front[0]), nil
}

// answers waits until every connection is answered, by one of the pods.
func (b *Bed) answers(ctx context.Context, from Place, address string, pods []string) error {
	return b.eventually(ctx, func() error {
		answers, err := b.ask(ctx, from, probe.Request{Protocol: "http", Address: address, Count: 5})
		if err != nil {
			return err
		}
		for _, a := range answers {
			if !slices.Contains(pods, a.Text) {
				return fmt.Errorf("from %s to %s: answered by %q, want one of %v", from, address, a.Text, pods)
			}
		}
		return nil
	})
}

func sourceIsKept(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	pod, err := b.pod(ctx, front[0])
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "back")
	if err != nil {
		return "", err
	}
	answers, err := b.ask(ctx, Place{Pod: front[0]},
		probe.Request{Protocol: "http", Address: at(s.Spec.ClusterIP, 19), Path: "/clientip", Count: 10})
	if err != nil {
		return "", err
	}
	for _, a := range answers {
		if got := host(a.Text); got != pod.Status.PodIP {
			return "", fmt.Errorf("back saw %s, front is %s", a.Text, pod.Status.PodIP)
		}
	}
	return "back saw " + pod.Status.PodIP, nil
}

// host is the address of an "address:port" text.
func host(text string) string {
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return text
	}
	return ap.Addr().Unmap().String()
}

func hairpin(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "front")
	if err != nil {
		return "", err
	}
	return front[0] + " answered itself", b.answers(ctx, Place{Pod: front[0]}, at(s.Spec.ClusterIP, 17), front)
}

func nodesCallBack(ctx context.Context, b *Bed) (string, error) {
	backs, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "back")
	if err != nil {
		return "", err
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	if len(nodes) == 0 {
		return "", errors.New("there is no node")
	}
	for _, n := range nodes {
		for _, ip := range s.Spec.ClusterIPs {
			if err := b.answers(ctx, Place{Node: n.name}, at(ip, 19), backs); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%d nodes, both families", len(nodes)), nil
}
