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

package nft

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Connections counts the new connections to each way into a Service, those that
// were refused or dropped included, since the way first existed. It is empty
// unless Features.CountConnections is on. Only the end of the Service or a
// foreign hand begins a count again at 0, or the replacement of the table.
func (t *Table) Connections(ctx context.Context) (map[ruleset.Frontend]uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := map[ruleset.Frontend]uint64{}
	set, on := t.schema.Set(ruleset.Connections)
	if !on {
		return counts, nil
	}
	l := lister{t.conn, t.schema}
	err := l.entries(set, func() { clear(counts) }, func(e nfnl.Attributes) {
		k := e.Nested(unix.NFTA_SET_ELEM_KEY).Get(unix.NFTA_DATA_VALUE)
		if f, ok := ruleset.ReadFrontend(string(k)); ok {
			counts[f] = e.Nested(unix.NFTA_SET_ELEM_EXPR).Nested(unix.NFTA_EXPR_DATA).Uint64(unix.NFTA_COUNTER_PACKETS)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("nftables %s: %w", t.schema.Family, err)
	}
	return counts, nil
}
