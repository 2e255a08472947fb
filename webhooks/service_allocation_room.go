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

package webhooks

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// makeRoom frees numbers that nothing but claims keeps from a request, before
// somebody is told that none is free. Those of requests that have had their time
// are taken over, for the next ones the request waits in steps. The plan is made
// again after each; where nothing helps it is the last time.
func (a *ServiceAllocation) makeRoom(ctx context.Context, request *allocationRequest, plan allocator.Plan) error {
	c := &claims{ServiceAllocation: a, request: request, service: client.ObjectKeyFromObject(request.new)}
	now := c.Now()
	due, next := dueOf(plan.Spares, now)
	if len(due) == 0 {
		request.crowded = !c.sleep(ctx, min(max(next.Sub(now), firstLook), lastLook))
		return nil
	}
	for _, claim := range c.unused(ctx, due) {
		if err := c.drop(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

// dueOf takes one claim that is due for each number that is lacking, and says when
// the next one is.
func dueOf(spares [][]allocator.Spare, now time.Time) (due []allocator.Spare, next time.Time) {
	for _, choice := range spares {
		for _, spare := range choice {
			if spare.Due.After(now) {
				if next.IsZero() || spare.Due.Before(next) {
					next = spare.Due
				}
				break
			}
			if !slices.Contains(due, spare) {
				due = append(due, spare)
				break
			}
		}
	}
	return due, next
}

// unused are those of the claims whose number nobody has, as far as the Services
// they were made for and the API server's own records say. The others are not
// looked at again for this request.
func (c *claims) unused(ctx context.Context, spares []allocator.Spare) []allocator.Claim {
	var free []allocator.Claim
	asked := map[types.NamespacedName]bool{}
	for _, spare := range spares {
		claim := spare.Claim
		if claim.Service.Name != "" && !asked[claim.Service] {
			asked[claim.Service] = true
			if _, err := c.reread(ctx, claim.Service); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Did not find out whether a claim is of use", "number", claim.Number.String())
			}
		}
		if len(c.Index.Holders(claim.Number)) > 0 {
			continue // the next plan knows
		}
		if c.recorded(ctx, allocator.Assignment{Number: claim.Number}) {
			c.request.avoid = append(c.request.avoid, claim.Number)
			continue
		}
		free = append(free, claim)
	}
	return c.withoutTakenPorts(ctx, free)
}

func (c *claims) withoutTakenPorts(ctx context.Context, free []allocator.Claim) []allocator.Claim {
	for {
		var doubts []allocator.Doubt
		for _, claim := range free {
			if claim.Number.IsPort() {
				doubts = append(doubts, allocator.Doubt{Number: claim.Number})
			}
		}
		if len(doubts) == 0 {
			return free
		}
		taken, err := c.firstTaken(ctx, doubts)
		if err != nil {
			ctrl.LoggerFrom(ctx).V(2).Info("Did not find out whether a port is free", "reason", err.Error())
			return free // the server has the last word
		}
		if taken.Number.IsZero() {
			return free
		}
		c.request.avoid = append(c.request.avoid, taken.Number)
		free = slices.DeleteFunc(free, func(claim allocator.Claim) bool { return claim.Number == taken.Number })
	}
}
