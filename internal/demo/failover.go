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
	"syscall"
	"time"
)

// failedOver stops the agent that answers for an address, as a node does that
// hangs: nothing says that it is gone, and nobody starts it anew. Whoever is
// outside has to be told where the address is now, as no test here makes it forget.
func failedOver(ctx context.Context, b *Bed) (seen string, err error) {
	pods, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	ips, nodes, err := b.balanced(ctx, "balanced-both", 2)
	if err != nil {
		return "", err
	}
	agent, err := b.agent(ctx, nodes[0])
	if err != nil {
		return "", err
	}
	if err := syscall.Kill(agent, syscall.SIGSTOP); err != nil {
		return "", fmt.Errorf("stopping the agent of %s: %w", nodes[0], err)
	}
	defer func() { err = errors.Join(err, syscall.Kill(agent, syscall.SIGCONT)) }()
	stopped := time.Now()
	// The kernel of a node that hangs goes on forwarding, so that a connection alone
	// does not show who answers.
	for i, ip := range ips {
		if nodes[i] != nodes[0] {
			continue
		}
		var now string
		if err := b.eventually(ctx, func() (err error) {
			if now, err = b.announcer(ctx, ip); err == nil && now == nodes[0] {
				err = fmt.Errorf("%s still answers for %s", now, ip)
			}
			return err
		}); err != nil {
			return "", err
		}
		seen = fmt.Sprintf("%s hangs, %s answers after %.1f s", nodes[0], now, time.Since(stopped).Seconds())
	}
	for _, ip := range ips {
		if err := b.answers(ctx, Outside, at(ip, 80), pods); err != nil {
			return "", err
		}
	}
	return seen, nil
}

// agent is the process of a node's agent.
func (b *Bed) agent(ctx context.Context, node string) (int, error) {
	if b.Agent != nil {
		return b.Agent(ctx, node)
	}
	status, err := b.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range status.Processes {
		if p.Name == "switchyard-node@"+node && p.PID > 0 {
			return p.PID, nil
		}
	}
	return 0, fmt.Errorf("there is no agent on %s", node)
}
