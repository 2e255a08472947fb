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
	"encoding/json"
	"fmt"
	"strings"

	"switchyard.dev/switchyard/internal/probe"
)

var portChecks = []Check{
	{"two containers behind one Service, 1234 and 4321", twoContainers},
	{"targetPort by name, another number per pod", namedTargetPort},
	{"TCP, UDP and SCTP on port 70", threeProtocols},
}

// identity is what the local cluster's echo server says of itself.
type identity struct {
	Pod  string `json:"pod"`
	Port int32  `json:"port"`
}

func (b *Bed) identities(ctx context.Context, from Place, address string, count int) ([]identity, error) {
	answers, err := b.ask(ctx, from, probe.Request{Protocol: "http", Address: address, Path: "/?format=json", Count: count})
	if err != nil {
		return nil, err
	}
	var all []identity
	for _, a := range answers {
		var one identity
		if err := json.Unmarshal([]byte(a.Text), &one); err != nil {
			return nil, fmt.Errorf("%s answered %q: %w", address, a.Text, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func twoContainers(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	if _, err := b.readyPods(ctx, "pair", 1); err != nil {
		return "", err
	}
	s, err := b.service(ctx, "pair")
	if err != nil {
		return "", err
	}
	for _, port := range []int32{1234, 4321} {
		err := b.eventually(ctx, func() error {
			found, err := b.identities(ctx, Place{Pod: front[0]}, at(s.Spec.ClusterIP, port), 3)
			if err != nil {
				return err
			}
			for _, id := range found {
				if id.Pod != "pair" || id.Port != port {
					return fmt.Errorf("port %d was answered by %s on %d", port, id.Pod, id.Port)
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return "each port by its own container", nil
}

func namedTargetPort(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	if _, err := b.readyPods(ctx, "mixed", 2); err != nil {
		return "", err
	}
	s, err := b.service(ctx, "mixed")
	if err != nil {
		return "", err
	}
	var seen string
	err = b.eventually(ctx, func() error {
		found, err := b.identities(ctx, Place{Pod: front[0]}, at(s.Spec.ClusterIP, 80), 60)
		if err != nil {
			return err
		}
		times := map[string]int{}
		for _, id := range found {
			colour, _, _ := strings.Cut(id.Pod, "-")
			times[fmt.Sprintf("%s:%d", colour, id.Port)]++
		}
		seen = fmt.Sprintf("blue on 8001 %d times, green on 8002 %d times", times["blue:8001"], times["green:8002"])
		if times["blue:8001"] == 0 || times["green:8002"] == 0 || len(times) != 2 {
			return fmt.Errorf("answers from %v", times)
		}
		return nil
	})
	return seen, err
}

func threeProtocols(ctx context.Context, b *Bed) (string, error) {
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	if _, err := b.readyPods(ctx, "protocols", 1); err != nil {
		return "", err
	}
	s, err := b.service(ctx, "protocols")
	if err != nil {
		return "", err
	}
	for _, ip := range s.Spec.ClusterIPs {
		for _, protocol := range []string{"tcp", "udp", "sctp"} {
			err := b.eventually(ctx, func() error {
				answers, err := b.ask(ctx, Place{Pod: front[0]}, probe.Request{Protocol: protocol, Address: at(ip, 70), Count: 3})
				if err != nil {
					return err
				}
				for _, a := range answers {
					if !strings.Contains(a.Text, "protocols") {
						return fmt.Errorf("%s was answered with %q", protocol, a.Text)
					}
				}
				return nil
			})
			if err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("all three at %s", strings.Join(s.Spec.ClusterIPs, " and ")), nil
}
