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

	ctrl "sigs.k8s.io/controller-runtime"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

const (
	// Others are waited for in steps, and by one request for so long in all: the
	// API server is busy then, and the time left has to do for the answer.
	firstLook = 10 * time.Millisecond
	lastLook  = 160 * time.Millisecond
	patience  = time.Second
)

// fate is what has become of somebody else's claim.
type fate int

const (
	// fateUnknown: the number is nobody's although it is claimed. That request has
	// failed or is slow, and the API server decides.
	fateUnknown fate = iota
	fateHeld
	// fateEnded: its Service has held the number and is gone.
	fateEnded
)

// awaitHolder looks for the Service that somebody else's claim was made for, so
// that the refusal can name it.
func (c *claims) awaitHolder(ctx context.Context, claim allocator.Claim) fate {
	young := c.Now().Sub(claim.Created) < allocator.RequestsEnd
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		switch {
		case c.heldByOther(ctx, claim):
			return fateHeld
		case c.Index.Ended(claim.Number, claim.UID):
			return fateEnded
		case !young || !c.sleep(ctx, wait):
			return fateUnknown
		}
	}
}

func (c *claims) heldByOther(ctx context.Context, claim allocator.Claim) bool {
	if claim.Service.Name != "" {
		if _, err := c.reread(ctx, claim.Service); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Did not find out who has claimed a number", "number", claim.Number.String())
		}
	}
	for _, holder := range c.Index.Holders(claim.Number) {
		if holder.Service != c.service {
			return true
		}
	}
	return false
}

// lostToServer asks the API server about numbers that it may have given to others,
// and reports whether the plan has to start over. Of one that was chosen there are
// others. One that was asked for is waited for, until it is known who has it, or
// until the server has taken it back from who had it. If neither comes, or the
// server can not be asked, the number passes and the server has the last word.
func (c *claims) lostToServer(ctx context.Context, doubts []allocator.Doubt) bool {
	for _, doubt := range doubts {
		if c.recorded(ctx, allocator.Assignment{Number: doubt.Number}) {
			c.request.avoid = append(c.request.avoid, doubt.Number)
			return true
		}
	}
	doubts = slices.DeleteFunc(slices.Clone(doubts), func(d allocator.Doubt) bool { return !d.Number.IsPort() })
	if len(doubts) == 0 {
		return false
	}
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		taken, err := c.firstTaken(ctx, doubts)
		switch {
		case err != nil:
			ctrl.LoggerFrom(ctx).V(2).Info("Did not find out whether a port is free", "reason", err.Error())
			return false
		case taken.Number.IsZero():
			return false
		case taken.Chosen:
			c.request.avoid = append(c.request.avoid, taken.Number)
			return true
		case c.heldByOther(ctx, allocator.Claim{Number: taken.Number}):
			return true
		case !c.sleep(ctx, wait):
			return false
		}
	}
}

func (c *claims) firstTaken(ctx context.Context, doubts []allocator.Doubt) (allocator.Doubt, error) {
	ports := make([]int32, len(doubts))
	for i, doubt := range doubts {
		ports[i] = doubt.Number.Port
	}
	taken, err := placeholder.FirstTaken(ctx, c.Client, c.Namespace, ports...)
	for _, doubt := range doubts {
		if err == nil && doubt.Number.Port == taken {
			return doubt, nil
		}
	}
	return allocator.Doubt{}, err
}

// sleep is false when the request has waited long enough, or its time is over.
func (c *claims) sleep(ctx context.Context, d time.Duration) bool {
	if c.request.waited += d; c.request.waited > patience {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	return waiting(ctx, func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		}
	}) == nil
}
