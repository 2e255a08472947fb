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

package certificate

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	names = []string{"webhook.system.svc", "localhost"}
)

// world is a Secret and webhooks, which do as the plans say.
type world struct {
	*testing.T
	Options
	known Known
	now   time.Time
	// step is called after each one with whom the webhooks trusted before.
	step func(before [][]byte)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Options: Options{Names: names}, now: start, step: func([][]byte) {}}
	w.known = Known{Home: Home{Namespace: "system", UID: "first"}, Trusted: [][]byte{nil}}
	w.Default()
	return w
}

// settle takes steps until nothing is to be done now, and returns why each was taken
// and when the next one is due.
func (w *world) settle() (steps []string, after time.Duration) {
	w.Helper()
	for range 10 {
		plan, before := w.Plan(w.known, w.now), w.known.Trusted
		switch {
		case plan.Make != nil:
			data, err := plan.Make()
			if err != nil {
				w.Fatal(err)
			}
			steps = append(steps, plan.Why)
			w.known.Secret, w.known.Last = data, data
		case plan.Bundle != nil:
			steps = append(steps, plan.Why)
			w.known.Trusted = [][]byte{plan.Bundle}
			w.known.Since = w.now
		default:
			return steps, plan.After
		}
		if !w.accepted() {
			w.Errorf("after %q the webhooks do not trust what is served", plan.Why)
		}
		w.step(before)
	}
	w.Fatalf("there is no end: %q", steps)
	return nil, 0
}

// pass lets time pass, with looks when they are due.
func (w *world) pass(d time.Duration) {
	w.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		_, after := w.settle()
		w.now = w.now.Add(min(after, end.Sub(w.now)))
	}
	w.settle()
}

// accepted is true when all webhooks trust what the Secret says is served, if it says
// anything.
func (w *world) accepted() bool {
	var server Server
	if server.Take(w.known.Secret, w.now) != nil {
		return false
	}
	pair, err := server.GetCertificate(nil)
	if err != nil || len(w.known.Trusted[0]) == 0 {
		return true
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.known.Trusted[0])
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: w.now})
	return err == nil
}

// logged is what a replica that serves nothing yet says of a plan without a step.
func logged(t *testing.T, plan Plan, now time.Time) (lines string) {
	t.Helper()
	logger := funcr.New(func(_, args string) { lines += args + "\n" }, funcr.Options{})
	r := &Reconciler{Server: &Server{}}
	if _, err := r.apply(ctrl.LoggerInto(t.Context(), logger), plan, &corev1.Secret{}, nil, now); err != nil {
		t.Fatal(err)
	}
	return lines
}

func (w *world) authorities() int { return len(parseAuthorities(w.now, w.known.Secret[authorityCert])) }

func TestPlanOfAFirstStartWaitsForNothing(t *testing.T) {
	w := newWorld(t)
	steps, after := w.settle()
	if len(steps) != 3 || w.known.Secret[servingCert] == nil {
		t.Errorf("the first start takes the steps %q", steps)
	}
	if want := w.Serving - w.RenewBefore; after != want {
		t.Errorf("it is looked at again after %s in place of %s", after, want)
	}
	if steps, _ := w.settle(); steps != nil {
		t.Errorf("nothing has changed, and yet: %q", steps)
	}
}

func TestPlanKeepsWhatIsServedTrusted(t *testing.T) {
	cases := map[string]func(*world){
		"the authority is about to end": func(w *world) { w.now = w.now.Add(time.Hour) },
		"the Secret was deleted":        func(w *world) { w.known.Secret = nil },
		"the Secret was emptied":        func(w *world) { w.known.Secret = map[string][]byte{} },
		"the authority's key is gone":   func(w *world) { delete(w.known.Secret, authorityKey) },
		"the key is another's": func(w *world) {
			_, key, err := newAuthority(w.now, w.Authority, Home{})
			if err != nil {
				w.Fatal(err)
			}
			w.known.Secret[authorityKey] = key
		},
		"the authority is no certificate": func(w *world) { w.known.Secret[authorityCert] = []byte("-----BEGIN CERTIFICATE-----\n") },
	}
	for name, happen := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Authority = 2 * w.Serving
			w.pass(w.Authority - w.RenewBefore - time.Hour)
			before, served := parseAuthorities(w.now, w.known.Trusted[0])[0], w.known.Secret[servingCert]
			happen(w)

			_, after := w.settle()
			trusted := parseAuthorities(w.now, w.known.Trusted[0])
			if len(trusted) != 2 || trusted[0].Equal(before) || !contains(trusted, before) {
				t.Fatalf("%d authorities are trusted, of which the one before has to be the second", len(trusted))
			}
			if now := w.known.Secret[servingCert]; now != nil && !bytes.Equal(now, served) {
				t.Fatal("another certificate is served before API servers know its authority")
			}
			if after != w.Settle {
				t.Errorf("the next step is due after %s in place of %s", after, w.Settle)
			}
			if line := logged(t, w.Plan(w.known, w.now), w.now); !strings.Contains(line, "Waiting until API servers trust the new authority") {
				t.Errorf("nobody is told of the wait: %q", line)
			}

			w.now = w.now.Add(after)
			_, after = w.settle()
			if line := logged(t, w.Plan(w.known, w.now), w.now); line != "" {
				t.Errorf("there is nothing to wait for, and yet: %q", line)
			}
			if now := w.known.Secret[servingCert]; now == nil || bytes.Equal(now, served) || w.authorities() != 2 {
				t.Fatal("no other certificate is served, or the authority before is not trusted any more")
			}
			w.now = w.now.Add(after)
			w.settle()
			if w.authorities() != 1 || len(parseAuthorities(w.now, w.known.Trusted[0])) != 1 {
				t.Error("the authority before is trusted for ever")
			}
		})
	}
}

func TestPlanOfWhatIsNotOfTheAuthority(t *testing.T) {
	cases := map[string]func(*world){
		"the certificate is about to end":      func(w *world) { w.now = w.now.Add(w.Serving - w.RenewBefore + time.Second) },
		"the certificate is gone":              func(w *world) { delete(w.known.Secret, servingCert) },
		"the certificate's key is another's":   func(w *world) { w.known.Secret[servingKey] = w.known.Secret[authorityKey] },
		"the webhooks have another name":       func(w *world) { w.Names = []string{"other.system.svc", "localhost"} },
		"a configuration was installed anew":   func(w *world) { w.known.Trusted = [][]byte{w.known.Trusted[0], nil} },
		"somebody gave the webhooks their own": func(w *world) { w.known.Trusted = [][]byte{[]byte("theirs")} },
	}
	for name, happen := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settle()
			authority := slices.Clone(w.known.Secret[authorityCert])
			happen(w)
			if steps, _ := w.settle(); len(steps) != 1 {
				t.Errorf("the steps are %q, and one is needed", steps)
			}
			if !bytes.Equal(authority, w.known.Secret[authorityCert]) || !bytes.Equal(authority, w.known.Trusted[0]) {
				t.Error("the authority is another one")
			}
		})
	}
}

func TestPlanForgetsAuthoritiesThatHaveEnded(t *testing.T) {
	w := newWorld(t)
	w.Authority, w.Serving, w.RenewBefore, w.Overlap = 4*time.Hour, 4*time.Hour, time.Hour, 100*time.Hour
	w.pass(3*time.Hour + time.Minute)
	if w.authorities() != 2 {
		t.Fatalf("%d authorities are trusted, not two", w.authorities())
	}
	w.pass(time.Hour)
	if trusted := parseAuthorities(start, w.known.Trusted[0]); len(trusted) != 1 {
		t.Errorf("%d authorities are trusted, of which one has ended", len(trusted))
	}
}

// TestPlanMakesNoEndOfAuthorities: somebody keeps taking the Secret away, before
// what a new authority signs is served or after.
func TestPlanMakesNoEndOfAuthorities(t *testing.T) {
	for name, every := range map[string]time.Duration{"at once": 5 * time.Second, "later": 2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.settle()
			// What each replica serves is in its memory, whatever becomes of the Secret.
			served := []map[string][]byte{w.known.Secret}
			for range most + 4 {
				w.known.Secret = nil
				w.pass(every)
				if w.known.Secret[servingCert] != nil {
					served = append(served, w.known.Secret)
				}
			}
			if got := w.authorities(); got != most {
				t.Errorf("%d authorities are trusted in place of %d", got, most)
			}
			for i, secret := range served {
				w.known.Secret = secret
				if !w.accepted() {
					t.Errorf("certificate %d of %d that was served is not trusted any more", i+1, len(served))
				}
			}

			// One that starts now knows none to put back, and has to serve as well.
			w.known.Secret, w.known.Last = nil, nil
			w.pass(w.Settle)
			if w.known.Secret[servingCert] == nil {
				t.Error("a manager that starts has no certificate")
			}

			w.pass(w.Overlap + time.Hour)
			if got := w.authorities(); got != 1 {
				t.Errorf("%d authorities are trusted a day after the last that was new", got)
			}
			before := w.known.Trusted[0]
			w.known.Secret = nil
			w.settle()
			if bytes.HasPrefix(w.known.Trusted[0], before) {
				t.Error("the authority can not be exchanged any more")
			}
		})
	}
}
