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

package feed

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"switchyard.dev/switchyard/internal/announce"
)

const system = "switchyard-system"

// agent is a Feed that runs on a node with one address.
type agent struct {
	name       string
	healthy    atomic.Bool
	announcing atomic.Bool
}

func runAgent(t *testing.T, client kubernetes.Interface, name string, healthy bool, wait time.Duration) *agent {
	a := &agent{name: name}
	a.healthy.Store(healthy)
	book := newBook()
	book.put(address("192.0.2.1", announce.Service{}))
	book.full.Store(true)
	f := New(Config{
		Node: name, Client: client, Book: book, Namespace: system, Ready: func() bool { return true }, Healthy: a.healthy.Load,
		Announce: func(_ context.Context, list []netip.Prefix) { a.announcing.Store(len(list) > 0) },
	})
	f.settle, f.pulse = wait, 5*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return a
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// What is behind on all nodes is rather a rule that no kernel takes: the nodes go on
// with those that they have.
func TestANodeWhoseRulesAreBehindStepsBackForOthers(t *testing.T) {
	client := fake.NewClientset(node(here, corev1.ConditionTrue), node(there, corev1.ConditionTrue))
	one, other := runAgent(t, client, here, true, 0), runAgent(t, client, there, true, 0)
	both := func() bool { return one.announcing.Load() && other.announcing.Load() }
	eventually(t, "both announce", both)
	one.healthy.Store(false)
	eventually(t, "one steps back", func() bool { return !one.announcing.Load() && other.announcing.Load() })
	other.healthy.Store(false)
	eventually(t, "with nobody else, both go on", both)
	one.healthy.Store(true)
	eventually(t, "the one that is healthy again is left", func() bool { return one.announcing.Load() && !other.announcing.Load() })
	other.healthy.Store(true)
	eventually(t, "both announce again", both)
	for _, name := range []string{here, there} {
		lease, err := client.CoordinationV1().Leases(system).Get(t.Context(), recordPrefix+name, metav1.GetOptions{})
		if err != nil || lease.Spec.HolderIdentity != nil {
			t.Errorf("at the end the Lease of %s is %+v, %v", name, lease, err)
		}
	}
}

// Others may be behind for the same reason, and say so a little later.
func TestANodeWaitsForOthersBeforeItStepsBack(t *testing.T) {
	f := New(Config{Node: here, Client: fake.NewClientset(), Namespace: system, Healthy: func() bool { return false }})
	f.setNode(here, announce.Fit)
	f.setNode(there, announce.Fit)
	start := time.Now()
	may := func(when string, after time.Duration, want bool) {
		t.Helper()
		f.judgeSelf(t.Context(), start.Add(after))
		if got := f.may(anywhere); got != want {
			t.Errorf("%s it may announce: %v, want %v", when, got, want)
		}
	}
	may("before it could say so", time.Hour, true)
	f.setBehind(recordPrefix+here, true)
	start = f.behind[here]
	may("just after it has said so", settle-time.Millisecond, true)
	may("when others had time", settle, false)
	f.setBehind(recordPrefix+there, true)
	may("when others are behind, too,", settle, true)
}
