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

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// change gives the headless Service another endpoint again and again.
func (b *dnsBench) change(ctx context.Context, t *dnsTurns) error {
	for range max(1, b.options.switches/b.options.dnsTurns) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond): // one does not meet the garbage of the other
		}
		if err := b.changeOnce(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (b *dnsBench) changeOnce(ctx context.Context, t *dnsTurns) error {
	b.switched++
	// Each has an address of its own, so that a late answer is never taken for a new one.
	target := specialAddress(200 + b.switched%800)
	written := make(chan error, 1)
	var acknowledged time.Time
	began := time.Now()
	go func() {
		err := b.updateSlice(ctx, switching.name, []netip.Addr{target})
		acknowledged = time.Now()
		written <- err
	}()
	answered, err := awaitAddress(ctx, target, began)
	if err := <-written; err != nil {
		return err
	}
	if err != nil {
		return err
	}
	t.sent = append(t.sent, answered.Sub(began))
	t.acknowledged = append(t.acknowledged, max(0, answered.Sub(acknowledged)))
	if at, ok := b.arrivals.of(target); ok {
		t.watched = append(t.watched, at.Sub(began))
	}
	return nil
}

// awaitAddress asks until the answer is that address.
func awaitAddress(ctx context.Context, target netip.Addr, began time.Time) (time.Time, error) {
	a, err := newAsker(dnsServer)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = a.conn.Close() }()
	q := askFor(switching.name+"."+namespace+".svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, 1)
	for {
		a.within(answerPatience)
		answer, err := a.ask(q)
		switch {
		case err == nil && q.right(answer) && bytes.HasSuffix(answer, target.AsSlice()): // nothing is behind the record
			return time.Now(), nil
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		case time.Since(began) > time.Minute:
			return time.Time{}, errors.Join(fmt.Errorf("no answer with %s within a minute: the last was %x", target, answer), err)
		}
		time.Sleep(probePause)
	}
}
