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

package webhooks

import (
	"context"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// watched hands out one informer.
type watched struct {
	cache.Informers
	informer toolscache.SharedIndexInformer
}

func (w watched) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return w.informer, nil
}

// listing counts what is asked of the cache.
type listing struct {
	client.Reader
	lists int
}

func (l *listing) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	l.lists++
	return l.Reader.List(ctx, list, options...)
}

func TestOnlyPrefixesThatNodesHaveAreLookedUp(t *testing.T) {
	narrow, wide := node("narrow", "192.0.2.1", "10.244.1.0/24", "fd00:244:1::/64"), node("wide", "192.0.2.2", "10.244.2.0/23")
	c := cluster(t, []client.Object{narrow, wide}, []client.Object{narrow, wide})
	counted := &listing{Reader: c.Cached}
	c.Cached = counted
	look := func(addr string) (found []string, lists int) {
		t.Helper()
		counted.lists = 0
		nodes, err := c.NodesByPodAddress(t.Context(), netip.MustParseAddr(addr))
		if err != nil {
			t.Fatal(err)
		}
		return names(nodes), counted.lists
	}
	if found, _ := look("10.244.3.9"); len(found) != 1 {
		t.Errorf("before nodes are watched: found %v", found)
	}

	source := fcache.NewFakeControllerSource()
	source.Add(narrow)
	informer := toolscache.NewSharedIndexInformer(source, &corev1.Node{}, 0, nil)
	if err := c.WatchNodes(t.Context(), watched{informer: informer}); err != nil {
		t.Fatal(err)
	}
	if found, _ := look("10.244.3.9"); len(found) != 1 {
		t.Errorf("before nodes are known: found %v", found)
	}
	go informer.Run(t.Context().Done())
	await := func(addr string, want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if _, lists := look(addr); lists == want {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("%s: %d look-ups, want %d", addr, lists, want)
			}
		}
	}
	await("10.244.9.1", 1)
	await("2001:db8::1", 1)
	source.Add(wide)
	await("10.244.9.1", 2)
	if found, _ := look("10.244.3.9"); len(found) != 1 || found[0] != "wide" {
		t.Errorf("found %v", found)
	}
	moved := wide.DeepCopy()
	moved.Spec.PodCIDRs = []string{"10.244.2.0/24"}
	source.Modify(moved)
	await("10.244.9.1", 1)
	source.Delete(moved)
	source.Delete(narrow)
	await("10.244.9.1", 0)
}
