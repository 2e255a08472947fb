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
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestManyThatAreGoneAreNotAllRead(t *testing.T) {
	var cached []client.Object
	for i := range 3 * maxConfirmations {
		cached = append(cached, service(fmt.Sprintf("gone-%d", i), external("203.0.113.7")))
	}
	addr := netip.MustParseAddr("203.0.113.7")
	if got, err := cluster(t, cached, nil).ServicesByVIP(t.Context(), addr, everyService); err == nil || !strings.Contains(err.Error(), "are gone or changed") {
		t.Errorf("%v, %v", names(got), err)
	}
	if got, err := cluster(t, cached[:maxConfirmations], nil).ServicesByVIP(t.Context(), addr, everyService); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", names(got), err)
	}
	if got, err := cluster(t, cached, cached[:1]).ServicesByVIP(t.Context(), addr, everyService); err != nil || strings.Join(names(got), "") != "gone-0" {
		t.Errorf("%v, %v", names(got), err)
	}
}

func TestHoldersAreReadAtTheSameTime(t *testing.T) {
	var holders []client.Object
	for i := range 3 * maxFindings {
		holders = append(holders, service(fmt.Sprintf("holder-%d", i), external("203.0.113.7")))
	}
	c := cluster(t, holders, holders)
	synctest.Test(t, func(t *testing.T) { // where waiting for ever is seen at once
		var reads atomic.Int32
		all := make(chan struct{})
		c.Live = interceptor.NewClient(c.Live.(client.WithWatch), interceptor.Funcs{
			Get: func(ctx context.Context, live client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if reads.Add(1) == maxFindings {
					close(all)
				}
				<-all
				return live.Get(ctx, key, object, options...)
			},
		})
		got, err := c.ServicesByVIP(t.Context(), netip.MustParseAddr("203.0.113.7"), everyService)
		if err != nil || len(got) != maxFindings || reads.Load() != maxFindings {
			t.Errorf("%d Services by %d reads, %v", len(got), reads.Load(), err)
		}
	})
}

// A thousand reads would take most of the time there is for an answer.
func TestTheNamespacesOwnPodsAreNotReadAgain(t *testing.T) {
	var pods []client.Object
	var addrs []string
	for i := range 300 {
		addrs = append(addrs, fmt.Sprintf("10.244.%d.%d", i/200, i%200))
		pods = append(pods, at(pod(fmt.Sprintf("mine-%d", i)), "default", addrs[i]))
	}
	pods = append(pods, at(pod("db"), "shop", "10.244.9.9"))
	c := cluster(t, pods, pods)
	c.Live = interceptor.NewClient(c.Live.(client.WithWatch), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errBroken
		},
	})
	judge := func(addrs ...string) (Verdict, error) {
		return ValidateBackends(t.Context(), c, nil, BackendChange{Namespace: "default", After: BackendsOfSlice(slice(80, addrs...))})
	}
	if got, err := judge(addrs...); err != nil || len(got.Errors) > 0 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := judge("10.244.9.9"); !errors.Is(err, errBroken) {
		t.Errorf("another namespace's pod was not read again: %v", err)
	}
}

func TestPodsOfTheNamespaceAreKnownByTheirAddress(t *testing.T) {
	finished := at(pod("finished"), "default", "10.244.1.7")
	finished.Status.Phase = corev1.PodSucceeded
	dual := at(pod("dual"), "default", "10.244.1.6", "fd00:244:1::6")
	onNode := at(pod("proxy"), "default", "192.0.2.1")
	onNode.Spec.HostNetwork = true
	c := cluster(t, []client.Object{finished, dual, onNode, at(pod("db"), "shop", "10.244.1.5")}, nil)
	for addr, want := range map[string]bool{"10.244.1.6": true, "fd00:244:1::6": true, "10.244.1.7": false, "10.244.1.5": false, "192.0.2.1": false} {
		if got, err := c.NamespaceHasPod(t.Context(), "default", netip.MustParseAddr(addr)); err != nil || got != want {
			t.Errorf("%s: %v, %v", addr, got, err)
		}
	}
}
