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

package certificates

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
)

const (
	replicas = 2
	pauses   = 3 // of at least one of them
)

var patches = regexp.MustCompile(`(?m)^apiserver_request_total\{.*resource="mutatingwebhookconfigurations".*verb="PATCH".*\} \d+$`)

// rival writes whenever it finds what it has not written: the authority of the
// validating webhooks, or the Secret.
type rival struct {
	api    client.WithWatch
	bundle string

	mu     sync.Mutex
	writes []time.Time
}

// TestSomebodyElseKeepsChangingWhomToTrust: the managers do not race with
// somebody else, say once who it is, and have the last word.
//
// It runs by itself: those beside each other wait for API servers by the clock.
func TestSomebodyElseKeepsChangingWhomToTrust(t *testing.T) {
	s := newScene(t)
	s.start(func(int, *app.Options) {})
	ours, err := s.bundles()
	s.must(err)
	before := patches.FindAllString(s.metrics(), -1)
	s.quarrel()
	s.within("the managers give up", func() error {
		bundles, err := s.bundles()
		if err == nil && !slices.Equal(bundles, ours) {
			return errors.New("the configurations trust others")
		}
		return err
	})
	if after := patches.FindAllString(s.metrics(), -1); len(before) == 0 || !slices.Equal(before, after) {
		t.Errorf("the configuration that nobody else changes was written: %q, and before that %q", after, before)
	}
	load := s.populate()
	s.within("nobody judges", func() error {
		if load.made.Load() == 0 || load.refused.Load() == 0 {
			return fmt.Errorf("%d Services made and %d refused", load.made.Load(), load.refused.Load())
		}
		return nil
	})
	load.stop()
	s.noCallFailed(load.failed)
	s.toldOfOnce("Somebody else keeps changing", `"writer":"cainjector"`, validatingName, "inject-ca-from")
}

// quarrel ends when the rival has written so often that it must have taken a while.
// Each manager's first write is at once; those after it wait for 100 ms, 200 ms, and
// so on.
func (s *scene) quarrel() {
	s.Helper()
	r := &rival{api: s.as("cainjector"), bundle: s.foreignAuthority()}
	s.pausesOf(r, r.changeBundles)
}

// as is a client of somebody else.
func (s *scene) as(who string) client.WithWatch {
	s.Helper()
	config := rest.CopyConfig(s.admin)
	config.UserAgent = who + "/v1"
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	s.must(err)
	return api
}

// pausesOf lets the rival run until it must have been waited for.
func (s *scene) pausesOf(r *rival, run func(context.Context) error) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	const enough = replicas * (1 + pauses)
	s.within("there is no quarrel", func() error {
		if n := len(r.times()); n <= enough {
			return fmt.Errorf("the rival has written %d times", n)
		}
		return nil
	})
	cancel()
	s.must(<-done)
	times := r.times()
	took, least := times[enough].Sub(times[0]), (1<<pauses-1)*100*time.Millisecond
	if took < least {
		s.Errorf("the rival has written %d times in %s in place of %s or longer", enough, took, least)
	}
	s.Logf("the rival has written %d times in %s", enough, took)
}

// toldOfOnce by each manager at most, with all of the parts.
func (s *scene) toldOfOnce(what string, parts ...string) {
	s.Helper()
	told := 0
	for line := range strings.Lines(said.String()) {
		if !strings.Contains(line, what) {
			continue
		}
		told++
		for _, part := range parts {
			if !strings.Contains(line, part) {
				s.Errorf("what is told of the rival lacks %s: %s", part, line)
			}
		}
	}
	if told < 1 || told > replicas {
		s.Errorf("%d managers tell of the rival %d times", replicas, told)
	}
}

func (r *rival) changeBundles(ctx context.Context) error {
	watching, err := r.api.Watch(ctx, &admissionregistrationv1.ValidatingWebhookConfigurationList{})
	if err != nil {
		return err
	}
	defer watching.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watching.ResultChan():
			configuration, ok := event.Object.(*admissionregistrationv1.ValidatingWebhookConfiguration)
			if !ok || configuration.Name != validatingName || string(configuration.Webhooks[0].ClientConfig.CABundle) == r.bundle {
				continue
			}
			for i := range configuration.Webhooks {
				configuration.Webhooks[i].ClientConfig.CABundle = []byte(r.bundle)
			}
			if err := r.update(ctx, configuration); err != nil {
				return err
			}
		}
	}
}

// update counts what it writes, and leaves it to the next event if somebody else was
// faster.
func (r *rival) update(ctx context.Context, object client.Object) error {
	began := time.Now() // and not when it is answered: it is waited for since then
	switch err := r.api.Update(ctx, object); {
	case err == nil:
		r.mu.Lock()
		r.writes = append(r.writes, began)
		r.mu.Unlock()
	case !apierrors.IsConflict(err) && ctx.Err() == nil:
		return err
	}
	return nil
}

func (r *rival) times() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.writes...)
}

// foreignAuthority is one that has signed nothing of ours: that of the API server.
func (s *scene) foreignAuthority() string {
	s.Helper()
	if len(s.admin.CAData) == 0 {
		s.Fatal("the API server has no authority")
	}
	return string(s.admin.CAData)
}
