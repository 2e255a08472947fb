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

package endstate

import (
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	// seedVariable and clustersVariable vary what is generated, and how many;
	// firstVariable leaves out those before it, for one of a large run alone.
	seedVariable     = "SWITCHYARD_DIFFERENTIAL_SEED"
	clustersVariable = "SWITCHYARD_DIFFERENTIAL_CLUSTERS"
	firstVariable    = "SWITCHYARD_DIFFERENTIAL_FIRST"
	defaultSeed      = 1
	defaultClusters  = 100
	// many clusters meet what is common.
	many = 100

	players = 24
	// calm is how long nothing changes until no more change is expected: both
	// sides do again after one or two seconds what has not worked.
	calm     = 4 * time.Second
	patience = 10 * time.Minute
	// overdue is when a difference is one.
	overdue = time.Minute
)

func TestEndStateIsUpstreams(t *testing.T) {
	seed, clusters, first := setting(t, seedVariable, defaultSeed), setting(t, clustersVariable, defaultClusters), setting(t, firstVariable, 0)
	var histories []*history
	steps := 0
	for i := range clusters {
		histories = append(histories, newHistory(seed, first+i))
		steps += len(histories[i].steps)
	}
	histories = append(histories, otherPorts(), lostLock(), replacedPod())
	t.Logf("%s=%d: %d clusters, %d steps", seedVariable, seed, clusters, steps)

	environment, config := startServer(t)
	api := newUser(t, config)
	createNodes(t, api)
	everything := watch(t, config)
	b := &bed{T: t, api: api, view: everything, histories: histories}

	stop := startTheirs(t, environment)
	b.play(theirs)
	before := b.states(theirs)
	stop = b.restart(environment, stop)
	want := withForNobody(b.states(theirs), before)
	b.move(movesTo)
	b.settle(theirs)
	b.leftInZone(want, b.states(theirs))
	b.move(zoneOf)
	stop = b.restart(environment, stop)
	left := b.states(theirs)
	stop()
	b.behindTheirBack(theirs)

	makeRoom(t, api)
	b.ended = startOurs(t, config)
	b.play(ours)
	b.await(want)
	b.settle(ours)
	b.compare(want, b.states(ours))
	b.takenOver(left, b.states(theirs))
	b.move(movesTo)
	b.await(moved(want))
	b.settle(ours)
	b.compare(moved(want), b.states(ours))
}

func setting(t *testing.T, variable string, value uint64) uint64 {
	t.Helper()
	if text := os.Getenv(variable); text != "" {
		var err error
		if value, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
	}
	return value
}
