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
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/probe"
)

var refusalChecks = []Check{
	{"a Service that matches no pod refuses at once", nobody},
	{"a NodePort that is taken is denied, naming its holder", duplicate},
}

func nobody(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "nobody")
	if err != nil {
		return "", err
	}
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return "", err
	}
	var slowest time.Duration
	for _, way := range []struct {
		from    Place
		address string
	}{
		{Place{Pod: front[0]}, at(s.Spec.ClusterIP, 80)},
		{Place{Node: nodes[0].name}, at(s.Spec.ClusterIP, 80)},
		{Outside, at(nodes[0].addresses[0], 31999)},
	} {
		for _, protocol := range []string{"tcp", "udp"} {
			took, err := b.refused(ctx, way.from, protocol, way.address)
			if err != nil {
				return "", err
			}
			slowest = max(slowest, took)
		}
	}
	return fmt.Sprintf("TCP and UDP, the slowest after %s", slowest.Round(100*time.Microsecond)), nil
}

// refused waits until the connection is refused, and says how long the refusal
// took. No answer at all is not a refusal.
func (b *Bed) refused(ctx context.Context, from Place, protocol, address string) (took time.Duration, err error) {
	err = b.eventually(ctx, func() error {
		answers, err := b.try(ctx, from, probe.Request{Protocol: protocol, Address: address})
		if err != nil {
			return err
		}
		if a := answers[0]; a.Outcome != probe.Refused {
			return fmt.Errorf("from %s to %s %s: %s %s, want it refused", from, protocol, address, a.Outcome, a.Error)
		}
		took = answers[0].Elapsed
		return nil
	})
	return took, err
}

func duplicate(ctx context.Context, b *Bed) (string, error) {
	err := b.apply(ctx, "later/duplicate-nodeport.yaml")
	if err == nil {
		return "", errors.New("it was accepted")
	}
	text := err.Error()
	if !strings.Contains(text, "held by Service demo/nodeport-fixed") {
		return "", fmt.Errorf("the message names no holder: %s", text)
	}
	_, reason, _ := strings.Cut(text, "spec.ports")
	return "spec.ports" + reason, nil
}
