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
	"context"
	"fmt"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	coreplugin "github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/pkg/upstream"
	"k8s.io/client-go/kubernetes"
)

// Name is the directive's.
const Name = "switchyard"

var log = clog.NewWithPlugin(Name)

// Register makes the directive known to CoreDNS. It is to be called once,
// before a server starts.
func Register() { RegisterWith(connection.client) }

// RegisterWith is Register with clients of the caller's, for tests.
func RegisterWith(client func(connection) (kubernetes.Interface, error)) {
	coreplugin.Register(Name, func(c *caddy.Controller) error {
		if err := setup(c, client); err != nil {
			return coreplugin.Error(Name, err)
		}
		return nil
	})
}

func setup(c *caddy.Controller, connect func(connection) (kubernetes.Interface, error)) error {
	o, err := parse(c)
	if err != nil {
		return err
	}
	client, err := connect(o.connection)
	if err != nil {
		return err
	}
	h := New(o, upstream.New())
	h.sources = h.resources(client)
	h.before.Store(reload.leaving())
	ctx, stop := context.WithCancel(context.Background())
	c.OnStartup(func() error {
		h.local = localAddresses(dnsserver.GetConfig(c).ListenHosts)
		reload.starts(h, stop)
		h.follow(ctx)
		if h.await(ctx, o.startupTimeout) {
			h.before.Store(nil)
			return nil
		}
		if h.before.Load() != nil {
			return fmt.Errorf("the API server has not listed everything within %v (startup_timeout), and the configuration until now knows it", o.startupTimeout)
		}
		log.Warning("Answering before the API server has listed everything: what is not known yet gets SERVFAIL")
		return nil
	})
	h.end(c, stop)
	dnsserver.GetConfig(c).AddPlugin(func(next coreplugin.Handler) coreplugin.Handler {
		h.Next = next
		return h
	})
	return nil
}

// end calls stop when another configuration has taken over, and at the end of
// the program. The latter is after the time in which a server on its way out
// still answers (lameduck): what it answers should be of then.
func (h *Handler) end(c *caddy.Controller, stop func()) {
	replaced := false
	c.OnRestart(func() error {
		replaced = true
		reload.leaves(h)
		return nil
	})
	c.OnRestartFailed(func() error {
		replaced = false
		reload.failed()
		return nil
	})
	c.OnShutdown(func() error {
		if replaced {
			stop()
			reload.done()
		}
		return nil
	})
	c.OnFinalShutdown(func() error {
		stop()
		return nil
	})
}

// await returns true when everything is known, false after patience.
func (h *Handler) await(ctx context.Context, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !h.full() {
		select {
		case <-ctx.Done():
			return h.full()
		case <-tick.C:
		}
	}
	return true
}
