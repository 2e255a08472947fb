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

import "testing"

func TestServerKeepsWhatCanBeUsed(t *testing.T) {
	w := newWorld(t)
	w.settle()
	var server Server
	if _, err := server.GetCertificate(nil); err == nil {
		t.Error("there is a certificate before there is one")
	}
	if _, err := server.End(); err == nil {
		t.Error("it has an end")
	}
	if err := server.Take(w.known.Secret, start); err != nil {
		t.Fatal(err)
	}
	first, err := server.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]map[string][]byte{
		"no Secret":      nil,
		"no certificate": {servingKey: w.known.Secret[servingKey]},
		"another key":    {servingCert: w.known.Secret[servingCert], servingKey: w.known.Secret[authorityKey]},
	} {
		_ = server.Take(secret, start)
		if now, _ := server.GetCertificate(nil); now != first {
			t.Errorf("%s, and another certificate is served", what)
		}
		if end, err := server.End(); err != nil || !end.Equal(start.Add(w.Serving)) {
			t.Errorf("%s, and what is served ends at %s (%v)", what, end, err)
		}
	}
	if server.trustedBy(nil, start) || !server.trustedBy(w.known.Secret[authorityCert], start) {
		t.Error("it is not said right who trusts the certificate")
	}
}
