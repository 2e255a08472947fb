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

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

func TestTheKernelHoldsWhatNftCanPrintAndLoadAgain(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			if _, err := open(t, ns, family, nft.Options{}).FullSync(context.Background(), node(family), mixture(family)); err != nil {
				t.Fatal(err)
			}
			listed := list(t, ns, family)
			elsewhere := newNamespace(t)
			tool(t, elsewhere, listed, "-f", "-")
			if diff := cmp.Diff(listed, list(t, elsewhere, family)); diff != "" {
				t.Errorf("a loaded list prints differently (-ours +loaded):\n%s", diff)
			}
			// The nft tool and we write the same bytes: what it loaded is adopted.
			result, err := open(t, elsewhere, family, nft.Options{}).FullSync(context.Background(), node(family), mixture(family))
			if err != nil {
				t.Fatal(err)
			}
			result.Duration = 0
			if diff := cmp.Diff(nft.Result{}, result); diff != "" {
				t.Errorf("adopting what nft loaded changed it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSchemaIsSpelledAsNftPrintsIt(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		want := ruleset.NewSchema(family, policy.Features{}).TextWith(func(set ruleset.Set) []string {
			if set.Name == ruleset.StickyChains {
				return []string{"sticky-1", "sticky-10800", "sticky-86399"}
			}
			return nil
		})
		tool(t, ns, want, "-f", "-")
		if diff := cmp.Diff(want, list(t, ns, family)); diff != "" {
			t.Errorf("%s -ours +nft:\n%s", family, diff)
		}
	}
}

func TestASecondFullSyncWritesNothing(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			for attempt := range 3 {
				// Each by a Table without memory.
				result, err := open(t, ns, family, nft.Options{}).FullSync(context.Background(), node(family), mixture(family))
				if err != nil {
					t.Fatal(err)
				}
				if wrote := result.Transactions > 0; wrote != (attempt == 0) {
					t.Errorf("full sync %d: %+v", attempt, result)
				}
			}
		})
	}
}

func TestManySmallTransactionsMakeTheSameTable(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			atOnce, piecemeal := newNamespace(t), newNamespace(t)
			fullSync(t, open(t, atOnce, family, nft.Options{}), node(family), mixture(family))
			small := open(t, piecemeal, family, nft.Options{ElementsPerTransaction: 3})
			if result := fullSync(t, small, node(family), mixture(family)); result.Transactions < 10 {
				t.Errorf("%+v", result)
			}
			if diff := cmp.Diff(sorted(list(t, atOnce, family)), sorted(list(t, piecemeal, family))); diff != "" {
				t.Errorf("-at once +piecemeal:\n%s", diff)
			}
		})
	}
}

func TestServicePortsComeAndGo(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			ours := open(t, ns, family, nft.Options{})
			fullSync(t, ours, node(family), nil)
			empty := list(t, ns, family)
			var names []model.ServicePortName
			for _, d := range mixture(family) {
				names = append(names, d.Name)
				result, err := ours.Apply(context.Background(), []policy.Decision{d}, nil)
				want := 1
				if len(d.SourceRanges) > 0 {
					want = 2 // the ranges first
				}
				if err != nil || result.Transactions != want {
					t.Fatalf("%s: %+v, %v", d.Name, result, err)
				}
			}
			if result := fullSync(t, ours, node(family), mixture(family)); result.Transactions != 0 {
				t.Errorf("a full sync finds something to do: %+v", result)
			}
			for range 2 { // what is not held can be removed again
				if _, err := ours.Apply(context.Background(), nil, names); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(empty, list(t, ns, family)); diff != "" {
				t.Errorf("something was left (-empty +after):\n%s", diff)
			}
		})
	}
}
