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
	"maps"
	"testing"
	"time"
)

// replica serves what it has taken, and looks at the Secret when it is told to.
type replica struct {
	Server
	*world
	name string
}

func (r *replica) look() { _ = r.Take(r.known.Secret, r.now, r.known.Trusted...) }

// acceptedBy compares what it serves with whom the webhooks trust: one that serves
// nothing is not asked.
func (r *replica) acceptedBy(trusted [][]byte, when string) {
	r.Helper()
	if pair, err := r.GetCertificate(nil); err == nil && !accepted(pair.Leaf, trusted, r.now) {
		r.Errorf("%s serves what the webhooks do not trust %s", r.name, when)
	}
}

// TestABackupOfTheSecretDropsNothing: the Secret of before an exchange is put back while
// managers serve what the next authority has signed. One of them looks at each step,
// one late, and one starts then.
func TestABackupOfTheSecretDropsNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		after time.Duration
		home  string
	}{
		"when the authority of then is forgotten": {25 * time.Hour, "first"},
		"while it is still trusted":               {time.Hour, "first"},
		"that was in another cluster":             {25 * time.Hour, "another"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			home := w.known.Home
			w.known.Home.UID = tc.home
			w.settle()
			backup := maps.Clone(w.known.Secret)
			w.known.Home = home
			w.now = w.now.Add(time.Hour)
			w.known.Secret = nil
			w.pass(w.Settle + tc.after)

			eager, late, starting := &replica{world: w, name: "one"}, &replica{world: w, name: "one that looks late"}, &replica{world: w, name: "one that starts"}
			eager.look()
			late.look()
			w.step = func(before [][]byte) {
				// API servers hear of a change of whom to trust when others have seen it already.
				for _, r := range []*replica{eager, starting} {
					r.look()
				}
				for _, r := range []*replica{eager, late, starting} {
					r.acceptedBy(before, "before a step")
					r.acceptedBy(w.known.Trusted, "after a step")
				}
			}
			w.known.Secret = maps.Clone(backup)
			w.step(w.known.Trusted)
			if _, after := w.settle(); after != w.Settle {
				t.Errorf("the next step is due after %s in place of %s", after, w.Settle)
			}
			w.pass(w.Settle)
			if w.known.Secret[servingCert] == nil || bytes.Equal(w.known.Secret[servingCert], backup[servingCert]) {
				t.Error("there is no certificate that was made after the exchange began")
			}
			w.now = w.now.Add(w.Overlap / 2)
			late.look()
			w.pass(w.Overlap)
			if n := w.authorities(); n != 1 {
				t.Errorf("%d authorities are trusted in the end", n)
			}
			if own := bytes.HasPrefix(w.known.Secret[authorityCert], backup[authorityCert]); own != (tc.home == "first") {
				t.Errorf("the backup's authority signs: %t", own)
			}
		})
	}
}

// TestAnotherCertificateInTheSecret: who starts does not serve it, as nobody trusts it.
func TestAnotherCertificateInTheSecret(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.settle()
	other.settle()
	serving, starting := &replica{world: w, name: "one"}, &replica{world: w, name: "one that starts"}
	serving.look()
	w.step = func(before [][]byte) {
		for _, r := range []*replica{serving, starting} {
			r.look()
			r.acceptedBy(before, "before a step")
			r.acceptedBy(w.known.Trusted, "after a step")
		}
	}
	w.known.Secret = maps.Clone(other.known.Secret)
	delete(w.known.Secret, authorityKey) // of an authority that is kept elsewhere
	w.step(w.known.Trusted)
	if _, after := w.settle(); after != w.Settle {
		t.Errorf("the next step is due after %s in place of %s", after, w.Settle)
	}
	w.pass(w.Settle)
}

// TestAConfigurationOfBeforeIsPutBack: nobody serves what an older authority signed.
func TestAConfigurationOfBeforeIsPutBack(t *testing.T) {
	w := newWorld(t)
	w.settle()
	before := w.known.Trusted
	w.now = w.now.Add(time.Hour)
	w.known.Secret = nil
	w.pass(w.Settle + 2*w.Overlap)
	secret := w.known.Secret
	w.known.Trusted = before
	if steps, _ := w.settle(); len(steps) != 1 || !maps.EqualFunc(secret, w.known.Secret, bytes.Equal) {
		t.Errorf("the steps are %q, of which the Secret needs none", steps)
	}
}
