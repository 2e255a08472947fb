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

package speaker

import (
	"context"
	"sync"
	"time"

	"switchyard.dev/switchyard/internal/announce/election"
)

// suspects reads the records of nodes that seem to be gone, each once for all of its
// addresses: they are what a node that fails leaves, and each read would be half of
// what an address costs to move. It is safe for concurrent use.
type suspects struct {
	read func(ctx context.Context, node string) (election.Record, error)

	mu    sync.Mutex
	known map[string]*suspect
}

type suspect struct {
	sync.Mutex
	// sent is when the request was sent whose answer is live; zero for none.
	sent time.Time
	live election.Record
}

// record is what the API server has of a node's record, as of a request sent after the
// claim was known.
func (s *suspects) record(ctx context.Context, w election.Write) (election.Record, error) {
	s.mu.Lock()
	one := s.known[w.Suspect.Node]
	if one == nil {
		one = &suspect{}
		s.known[w.Suspect.Node] = one
	}
	s.mu.Unlock()
	one.Lock() // who comes second waits for the first, and takes its answer if it is late enough
	defer one.Unlock()
	if one.sent.After(w.Known) && one.live.Version == w.Suspect.Version {
		return one.live, nil
	}
	sent := time.Now()
	live, err := s.read(ctx, w.Suspect.Node)
	if err == nil {
		one.sent, one.live = sent, live
	}
	return live, err
}
