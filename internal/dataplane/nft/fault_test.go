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
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// fault is one way in which the kernel fails.
type fault struct {
	at    nfnltest.Point
	errno unix.Errno
}

// passing are the faults that go away by themselves.
var passing = map[string]fault{
	"a busy chain":                         {nfnltest.Commit, unix.EBUSY},
	"an interrupted transaction":           {nfnltest.Commit, unix.EINTR},
	"a transaction to be sent again":       {nfnltest.Commit, unix.EAGAIN},
	"no buffers in a transaction":          {nfnltest.Commit, unix.ENOBUFS},
	"no memory in a transaction":           {nfnltest.Commit, unix.ENOMEM},
	"no buffers to send with":              {nfnltest.SendCommit, unix.ENOBUFS},
	"no memory to send with":               {nfnltest.SendCommit, unix.ENOMEM},
	"a list that is refused as busy":       {nfnltest.Dump, unix.EBUSY},
	"a list without memory":                {nfnltest.Dump, unix.ENOMEM},
	"a list that is interrupted":           {nfnltest.Dump, unix.EINTR},
	"a list that changes while it is read": {nfnltest.DumpChanged, unix.EINTR},
}

func TestPassingFailuresOfTheKernelAreWaitedOut(t *testing.T) {
	ns := newNamespace(t)
	for _, family := range families {
		for name, fault := range passing {
			const times = 3
			faults := &nfnltest.Faults{}
			ours := open(t, ns, family, nft.Options{Dial: faults.Dial})
			faults.Add(fault.at, fault.errno, times)
			fullSync(t, ours, node(family), mixture(family))
			if fault.at != nfnltest.Dump && fault.at != nfnltest.DumpChanged {
				faults.Add(fault.at, fault.errno, times)
			}
			if _, err := ours.Apply(context.Background(), []policy.Decision{decision(family, 60, 3)}, nil); err != nil {
				t.Errorf("%s %s: %v", family, name, err)
			}
			if left := faults.Left(); left > 0 {
				t.Errorf("%s %s: %d did not happen", family, name, left)
			}
			expectSynced(t, ours, family, append(mixture(family), decision(family, 60, 3)))
		}
	}
}

// expectSynced wants a full sync, by a Table without faults or memory, to find
// all as it should be.
func expectSynced(t *testing.T, table *nft.Table, family model.Family, desired []policy.Decision) {
	t.Helper()
	if result := fullSync(t, table, node(family), desired); result.Transactions > 0 {
		t.Errorf("%s: a full sync has something to do: %+v", family, result)
	}
}

func TestALostOutcomeIsFoundOut(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		faults := &nfnltest.Faults{}
		ours := open(t, ns, family, nft.Options{Dial: faults.Dial, ElementsPerTransaction: 20})
		// The transaction was carried out, its answer never came.
		faults.Add(nfnltest.Outcome, unix.ENOBUFS, 2)
		fullSync(t, ours, node(family), mixture(family))
		expectSynced(t, open(t, ns, family, nft.Options{}), family, mixture(family))
		faults.Add(nfnltest.Outcome, unix.ENOBUFS, 1)
		if _, err := ours.Apply(context.Background(), []policy.Decision{decision(family, 60, 3)}, nil); !errors.Is(err, unix.ENOBUFS) {
			t.Errorf("%s: got %v", family, err)
		}
		if _, err := ours.Apply(context.Background(), nil, nil); !errors.Is(err, nft.ErrNotSynced) {
			t.Errorf("%s: went on without knowing what the kernel holds: %v", family, err)
		}
		expectSynced(t, ours, family, append(mixture(family), decision(family, 60, 3)))
	}
}

func TestFailuresThatStayAreToldAndHarmNothing(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		faults := &nfnltest.Faults{}
		ours := open(t, ns, family, nft.Options{Dial: faults.Dial})
		for name, fault := range passing {
			fullSync(t, ours, node(family), mixture(family))
			before := sorted(list(t, ns, family))
			faults.Add(fault.at, fault.errno, 1000)
			more := append(mixture(family), decision(family, 60, 3))
			if _, err := ours.FullSync(context.Background(), node(family), more); !errors.Is(err, fault.errno) {
				t.Errorf("%s %s: got %v", family, name, err)
			}
			if diff := cmp.Diff(before, sorted(list(t, ns, family))); diff != "" {
				t.Errorf("%s %s: the table changed (-before +after):\n%s", family, name, diff)
			}
			faults.Clear()
			fullSync(t, ours, node(family), more)
			expectSynced(t, open(t, ns, family, nft.Options{}), family, more)
		}
	}
}

// Whatever fails in between, the table ends as the last state wants it.
func TestAHistoryWithFailuresEndsLikeOneWithout(t *testing.T) {
	points := []fault{{nfnltest.Outcome, unix.ENOBUFS}}
	for _, f := range passing {
		points = append(points, f)
	}
	for _, family := range families {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s seed %d", family, seed), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				ns := newNamespace(t)
				faults := &nfnltest.Faults{}
				ours := open(t, ns, family, nft.Options{Dial: faults.Dial, ElementsPerTransaction: 10})
				state := map[int]policy.Decision{}
				desired := func() (all []policy.Decision) {
					for _, d := range state {
						all = append(all, d)
					}
					return all
				}
				synced := false
				for range 60 {
					f := points[random.IntN(len(points))]
					faults.Clear()
					faults.Add(f.at, f.errno, 1)
					if random.IntN(10) == 0 { // more than is waited out
						faults.Add(f.at, f.errno, 20)
					}
					i, n := random.IntN(20), random.IntN(12)
					next := decision(family, i, n)
					_, held := state[i]
					var err error
					switch remove := held && random.IntN(3) == 0; {
					case remove:
						delete(state, i)
						if synced {
							_, err = ours.Apply(context.Background(), nil, []model.ServicePortName{next.Name})
						}
					default:
						state[i] = next
						if synced {
							_, err = ours.Apply(context.Background(), []policy.Decision{next}, nil)
						}
					}
					if err != nil || !synced {
						_, err = ours.FullSync(context.Background(), node(family), desired())
						synced = err == nil
					}
				}
				faults.Clear()
				fullSync(t, ours, node(family), desired())
				expectSynced(t, open(t, ns, family, nft.Options{}), family, desired())
			})
		}
	}
}
