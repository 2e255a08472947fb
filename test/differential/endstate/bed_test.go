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
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// side is whose controllers run.
type side string

const (
	theirs side = "theirs"
	ours   side = "ours"
)

// bed is where the histories are played.
type bed struct {
	*testing.T
	api       client.Client
	view      *view
	histories []*history
	restarts  int
	// ended is closed when our controllers have ended.
	ended <-chan struct{}
}

func (s side) namespace(number int) string { return fmt.Sprintf("%s-%d", s, number) }

// each does something for every cluster, several at a time.
func (b *bed) each(do func(ctx context.Context, number int, h *history) error) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(players)
	for number, h := range b.histories {
		group.Go(func() error { return do(ctx, number, h) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) play(s side) {
	b.Helper()
	began := time.Now()
	b.each(func(ctx context.Context, number int, h *history) error {
		namespace := s.namespace(number)
		if err := b.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
			return err
		}
		for i := range h.steps {
			if err := h.steps[i].play(ctx, b.api, namespace); err != nil {
				return fmt.Errorf("%s, step %d: %s: %w", h.name, i, h.steps[i], err)
			}
		}
		return nil
	})
	b.Logf("%s: played in %s", s, time.Since(began).Round(time.Second))
	b.settle(s)
	if b.insist(s) {
		b.settle(s)
	}
}

func (b *bed) settle(s side) {
	b.Helper()
	began := time.Now()
	if err := b.view.quiet(b.Context(), calm, patience); err != nil {
		b.Fatal(err)
	}
	b.Logf("%s: settled in %s", s, time.Since(began).Round(time.Second))
}

// insist has people put their Endpoints again if they are not as they were made.
// A controller whose cache of Services is behind may write over them on either
// side, which is not what is compared.
func (b *bed) insist(s side) bool {
	b.Helper()
	var again atomic.Int32
	b.each(func(ctx context.Context, number int, h *history) error {
		for _, object := range h.endpoints {
			object := object.DeepCopy()
			object.Namespace = s.namespace(number)
			written, err := putObject(ctx, b.api, object)
			if err != nil {
				return err
			}
			if written {
				again.Add(1)
			}
		}
		return nil
	})
	b.Logf("%s: %d Endpoints had to be put again", s, again.Load())
	return again.Load() > 0
}

// restart has kube-controller-manager look at everything anew. Of what pods have
// come to it overlooks some, such as a pod that has run to its end and was not
// ready before; it waits for good for a slice that was deleted in the moment it
// wrote it, and does not try again what has failed 15 times.
func (b *bed) restart(environment *envtest.Environment, stop func()) func() {
	b.Helper()
	stop()
	stop = startTheirs(b.T, environment)
	b.restarts++
	namespace := fmt.Sprintf("%s-restart-%d", theirs, b.restarts) // the last in order
	ports := []corev1.ServicePort{{Port: 80}}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pods"}, Spec: corev1.ServiceSpec{Ports: ports, Selector: map[string]string{"app": "none"}}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "byhand"}, Spec: corev1.ServiceSpec{Ports: ports}},
		&corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "byhand"},
			Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.8.0.9"}}}}},
	} {
		if err := b.api.Create(b.Context(), object); err != nil {
			b.Fatal(err)
		}
	}
	// Both were queued behind all that there was before.
	if err := awaitSlices(b.Context(), b.api, namespace, nil, 2); err != nil {
		b.Fatalf("kube-controller-manager, started again: %v", err)
	}
	b.settle(theirs)
	return stop
}

// await gives ours the time that they need to come to the same end: what is
// lost to a cache that never shows it is made up for after half a minute.
func (b *bed) await(want []state) {
	b.Helper()
	began := time.Now()
	var differ []int
	for number := range b.histories {
		differ = append(differ, number)
	}
	for deadline := began.Add(overdue); len(differ) > 0 && time.Now().Before(deadline); {
		select {
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		case <-b.ended:
			b.Fatal("our controllers have ended")
		case <-time.After(100 * time.Millisecond):
		}
		differ = slices.DeleteFunc(differ, func(number int) bool {
			got := b.view.state(b.T, ours.namespace(number))
			delete(got.documented, lockStays)
			return len(got.documented) == 0 && differences(want[number], got) == ""
		})
	}
	var names []string
	for _, number := range differ {
		names = append(names, b.histories[number].name)
	}
	b.Logf("%s: %d clusters differ after %s: %v", ours, len(differ), time.Since(began).Round(time.Second), names)
}

func (b *bed) states(s side) []state {
	b.Helper()
	var all []state
	sum := state{documented: map[string]int{}}
	for number := range b.histories {
		one := b.view.state(b.T, s.namespace(number))
		sum.slices, sum.endpoints, sum.mirrors, sum.objects = sum.slices+one.slices, sum.endpoints+one.endpoints, sum.mirrors+one.mirrors, sum.objects+one.objects
		for reason, n := range one.documented {
			sum.documented[reason] += n
		}
		all = append(all, one)
	}
	b.Logf("%s: %d slices of %d endpoints, %d of them mirrors, and %d Endpoints; besides %v", s, sum.slices, sum.endpoints, sum.mirrors, sum.objects, sum.documented)
	return all
}
