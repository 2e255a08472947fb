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

package nft_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
)

// Were the end of a table too much news at once, the kernel would drop some, and
// the other family would be repaired, too.
func TestTheEndOfATableIsNoNewsOfTheOtherFamily(t *testing.T) {
	ns := newNamespace(t)
	v4, v6 := open(t, ns, model.IPv4, nft.Options{}), open(t, ns, model.IPv6, nft.Options{})
	fullSync(t, v4, node(model.IPv4), mixture(model.IPv4))
	fullSync(t, v6, node(model.IPv6), mixture(model.IPv6))
	var watcher *nft.Watcher
	if err := ns.Do(func() (err error) {
		watcher, err = nft.Watch(v4, v6)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	// No one reads yet, as on a busy machine.
	tool(t, ns, "delete table ip switchyard", "-f", "-")
	tool(t, ns, "add chain ip6 switchyard mine", "-f", "-")
	tool(t, ns, "delete chain ip6 switchyard mine", "-f", "-")
	news := make(chan model.Family, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- watcher.Run(ctx, func(f model.Family) { news <- f }) }()
	var got []model.Family
	for timeout := time.After(3 * time.Minute); len(got) < 3 && ctx.Err() == nil; {
		select {
		case family := <-news:
			got = append(got, family)
		case <-timeout:
			cancel()
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]model.Family{model.IPv4, model.IPv6, model.IPv6}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
