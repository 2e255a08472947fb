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
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestAttempts writes a bundle, has it found replaced after each of the times,
// and compares how long the next one waits.
func TestAttempts(t *testing.T) {
	const ms, s, m = time.Millisecond, time.Second, time.Minute
	type found struct {
		after  time.Duration // since the last write
		uid    types.UID
		bundle string
	}
	cases := map[string]struct {
		found []found
		waits []time.Duration
	}{
		"the first is never late": {[]found{{0, "a", "B"}}, []time.Duration{0}},
		"who changes it back at once is waited for, longer each time": {
			slices.Repeat([]found{{0, "a", "A"}}, 13),
			[]time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 51200 * ms, m, m, m},
		},
		"what has passed counts":                      {[]found{{70 * ms, "a", "A"}, {150 * ms, "a", "A"}, {s, "a", "A"}}, []time.Duration{30 * ms, 50 * ms, 0}},
		"one that has stood is put right":             {[]found{{0, "a", "A"}, {0, "a", "A"}, {calm, "a", "A"}, {0, "a", "A"}}, []time.Duration{100 * ms, 200 * ms, 0, 100 * ms}},
		"another bundle waits for nobody":             {[]found{{0, "a", "A"}, {0, "a", "A"}, {0, "a", "B"}}, []time.Duration{100 * ms, 200 * ms, 0}},
		"nor does it end the matter":                  {[]found{{0, "a", "A"}, {0, "a", "A"}, {0, "a", "B"}, {0, "a", "B"}}, []time.Duration{100 * ms, 200 * ms, 0, 400 * ms}},
		"unless the one before has stood":             {[]found{{0, "a", "A"}, {0, "a", "A"}, {calm, "a", "B"}, {0, "a", "B"}}, []time.Duration{100 * ms, 200 * ms, 0, 100 * ms}},
		"one that is installed anew waits for nobody": {[]found{{0, "a", "A"}, {0, "a", "A"}, {0, "b", "A"}, {0, "b", "A"}}, []time.Duration{100 * ms, 200 * ms, 0, 100 * ms}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a, now := &attempts{}, start
			if wait := a.wait("a", []byte("A"), now); wait != 0 {
				t.Errorf("the first write waits for %s", wait)
			}
			a.wrote([]byte("A"), now)
			for i, f := range tc.found {
				now = now.Add(f.after)
				got := a.wait(f.uid, []byte(f.bundle), now)
				if got != tc.waits[i] {
					t.Errorf("write %d waits for %s in place of %s", i+1, got, tc.waits[i])
				}
				if again := a.wait(f.uid, []byte(f.bundle), now.Add(got/2)); again != got-got/2 {
					t.Errorf("who looks earlier changes the wait of write %d from %s to %s", i+1, got-got/2, again)
				}
				now = now.Add(got)
				a.wrote([]byte(f.bundle), now)
			}
		})
	}
}

// TestWhoIsToldOf: each writer once, and again when there was peace between.
func TestWhoIsToldOf(t *testing.T) {
	a, now := &attempts{uid: "a"}, start
	replaced := func(after time.Duration) {
		a.wrote([]byte("A"), now)
		now = now.Add(after)
		now = now.Add(a.wait("a", []byte("A"), now))
	}
	for i, step := range []struct {
		after time.Duration
		who   string
		want  bool
	}{
		{0, "cainjector", false}, // may be somebody who installs
		{0, "cainjector", true},
		{0, "cainjector", false},
		{0, "argocd", true},
		{calm, "argocd", false},
		{0, "argocd", false},
		{0, "argocd", true},
	} {
		replaced(step.after)
		if got := a.news(step.who); got != step.want {
			t.Errorf("step %d tells of %s: %t", i+1, step.who, got)
		}
	}
}

func TestWriterOf(t *testing.T) {
	const bundle, other = `{"f:webhooks":{"k:{\"name\":\"a\"}":{"f:clientConfig":{"f:caBundle":{}}}}}`, `{"f:metadata":{"f:labels":{}}}`
	entry := func(manager string, second int, fields string) metav1.ManagedFieldsEntry {
		at := metav1.NewTime(start.Add(time.Duration(second) * time.Second))
		return metav1.ManagedFieldsEntry{Manager: manager, Time: &at, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	for name, tc := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    string
		remedy  string
	}{
		"nobody is known": {},
		"who owns the bundle, whoever wrote later": {
			[]metav1.ManagedFieldsEntry{entry("cainjector", 1, bundle), entry("helm", 2, other)}, "cainjector", "inject-ca-from"},
		"the last of those who own one": {
			[]metav1.ManagedFieldsEntry{entry("cainjector", 1, bundle), entry("argocd", 2, bundle), entry("switchyard-manager", 3, bundle)}, "argocd", "leave caBundle"},
		"who took it away": {
			[]metav1.ManagedFieldsEntry{entry("helm", 1, other), entry("argocd", 2, other), entry("switchyard-manager", 3, other)}, "argocd", "leave caBundle"},
		"only we": {
			[]metav1.ManagedFieldsEntry{entry("helm", 2, other), entry("switchyard-manager", 1, bundle)}, "switchyard-manager", "admission policy"},
	} {
		t.Run(name, func(t *testing.T) {
			got, known := writerOf(tc.entries)
			if got.name != tc.want || known != (tc.want != "") {
				t.Fatalf("%q (%t) in place of %q", got.name, known, tc.want)
			}
			if known && !strings.Contains(got.remedy(), tc.remedy) {
				t.Errorf("the remedy is %q", got.remedy())
			}
		})
	}
}

// TestWhoDisturbsTheSecret: what differs from what we wrote, and is from somebody else.
func TestWhoDisturbsTheSecret(t *testing.T) {
	const certificate, other = `{"f:data":{".":{},"f:tls.crt":{}}}`, `{"f:metadata":{"f:labels":{}}}`
	ours := map[string][]byte{servingCert: []byte("ours")}
	theirs := map[string][]byte{servingCert: []byte("theirs")}
	secret := func(data map[string][]byte, manager, fields string) *corev1.Secret {
		at := metav1.NewTime(start)
		return &corev1.Secret{Data: data, ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: "1", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: manager, Time: &at, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}},
		}}
	}
	for name, tc := range map[string]struct {
		written map[string][]byte
		secret  *corev1.Secret
		want    string
		remedy  string
	}{
		"there is none yet":                   {nil, &corev1.Secret{}, "", ""},
		"it was deleted":                      {ours, &corev1.Secret{}, nobodyKnown, "audit log"},
		"it was replaced":                     {ours, secret(theirs, "cert-manager", certificate), "cert-manager", "another Secret"},
		"it was there before this process":    {nil, secret(theirs, "cert-manager", certificate), "cert-manager", "another Secret"},
		"what we wrote stands":                {ours, secret(ours, "cert-manager", certificate), "", ""},
		"another replica has taken the step":  {ours, secret(theirs, "switchyard-manager", certificate), "", ""},
		"somebody labels it, a replica wrote": {ours, secret(theirs, "kubectl-label", other), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := memory{written: tc.written}
			got, disturbed := m.disturbed(tc.secret)
			if got.name != tc.want || disturbed != (tc.want != "") {
				t.Fatalf("%q (%t) in place of %q", got.name, disturbed, tc.want)
			}
			if disturbed && !strings.Contains(got.secretRemedy(), tc.remedy) {
				t.Errorf("the remedy is %q", got.secretRemedy())
			}
		})
	}
}
