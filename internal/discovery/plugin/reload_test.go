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

package plugin

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// failing is a directive that fails when all before it have started and follow
// the cluster.
const failing = "failing"

var errFailing = errors.New("as told to")

func registerFailing() {
	caddy.RegisterPlugin(failing, caddy.Plugin{ServerType: "dns", Action: func(c *caddy.Controller) error {
		before := watches.begun()
		c.OnStartup(func() error {
			for watches.begun() < before+3 {
				time.Sleep(time.Millisecond)
			}
			return errFailing
		})
		return nil
	}})
}

// watches are those of all servers.
var watches counter

type counter struct {
	mu           sync.Mutex
	total, ended int
}

func (c *counter) begun() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

func (c *counter) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total - c.ended
}

func (c *counter) count(client *fake.Clientset) {
	client.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(a.GetResource(), a.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.total++
		return true, &counted{Interface: w, counter: c}, nil
	})
}

// counted is a watch that tells when it ends.
type counted struct {
	watch.Interface
	counter *counter
	once    sync.Once
}

func (w *counted) Stop() {
	w.once.Do(func() {
		w.counter.mu.Lock()
		defer w.counter.mu.Unlock()
		w.counter.ended++
	})
	w.Interface.Stop()
}

// A new configuration that fails after it has begun to follow the cluster leaves
// nothing behind, and one that takes over ends the watches of the one before.
func TestAReloadThatFailsLeavesNothingBehind(t *testing.T) {
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	await := func(when string, want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); watches.open() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s there are %d watches, want %d", when, watches.open(), want)
			}
		}
	}
	await("of other tests", 0)
	instance, err := caddy.Start(corefileWith(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { stop(t, instance) }()
	answers := func(when string) {
		t.Helper()
		answer := exchange(t, "udp", instance.Servers()[0].LocalAddr().String(), new(dns.Msg).SetQuestion("web.shop.svc.cluster.local.", dns.TypeA))
		if len(answer.Answer) != 1 {
			t.Errorf("%s: %v", when, answer)
		}
	}
	three := func(when string) {
		t.Helper()
		await(when, 3)
		answers(when)
	}
	three("at first")
	for range 2 {
		if _, err := instance.Restart(corefileWith(failing)); err == nil {
			t.Fatal("it did not fail")
		}
		three("after a failure")
	}
	for range 2 {
		if instance, err = instance.Restart(corefileWith("")); err != nil {
			t.Fatal(err)
		}
		three("after a reload")
	}
	if _, err := instance.Restart(corefileWith(failing)); err == nil {
		t.Fatal("it did not fail")
	}
	three("after another failure")
}
