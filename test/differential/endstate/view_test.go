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
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// view watches everything, and knows when it last changed.
type view struct {
	cache.Cache
	mu   sync.Mutex
	last time.Time
}

func watch(t *testing.T, config *rest.Config) *view {
	t.Helper()
	objects, err := cache.New(config, cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := &view{Cache: objects, last: time.Now()}
	for _, object := range []client.Object{&discoveryv1.EndpointSlice{}, &corev1.Endpoints{}, &corev1.Service{}, &corev1.Pod{}} {
		informer, err := v.GetInformer(t.Context(), object, cache.BlockUntilSynced(false))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { v.changed() }, UpdateFunc: func(any, any) { v.changed() }, DeleteFunc: func(any) { v.changed() },
		}); err != nil {
			t.Fatal(err)
		}
	}
	go func() { _ = v.Start(t.Context()) }()
	if !v.WaitForCacheSync(t.Context()) {
		t.Fatal("the watches do not begin")
	}
	return v
}

func (v *view) changed() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = time.Now()
}

// quiet waits until nothing has changed for a while, from now on.
func (v *view) quiet(ctx context.Context, while, patience time.Duration) error {
	v.changed()
	for deadline := time.Now().Add(patience); ; {
		v.mu.Lock()
		left := while - time.Since(v.last)
		v.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("something still changes after %s", patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
}

// list reads all objects of a kind in a namespace.
func list[T any](t *testing.T, v *view, namespace string, into client.ObjectList, items func() []T) []T {
	t.Helper()
	if err := v.List(t.Context(), into, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	return items()
}
