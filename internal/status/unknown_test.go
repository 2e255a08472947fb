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

package status

import (
	"errors"
	"strings"
	"testing"
)

func printed(t *testing.T, r *Report) string {
	t.Helper()
	var out strings.Builder
	if err := errors.Join(r.Print(&out), r.PrintEnd(&out)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What could not be listed is not said to be none.
func TestWhatCouldNotBeListedIsUnknown(t *testing.T) {
	f := wellFacts()
	f.Managers, f.Agents, f.DNS = nil, nil, nil
	f.Unknown[ListProgram], f.Unknown[ListDNS] = true, true
	text := printed(t, f.Report(now))
	for _, want := range []string{"Manager      unknown", "Agents       unknown", "DNS          unknown"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	f.Unknown = map[List]bool{}
	if text := printed(t, f.Report(now)); !strings.Contains(text, "Manager      none") {
		t.Errorf("none that could be listed:\n%s", text)
	}
}

// A manager that webhooks lead to and that serves no certificate is not all well.
func TestACertificateThatIsNotServedIsNotSeen(t *testing.T) {
	f := wellFacts()
	f.NotServing = map[string]error{"manager-b": errors.New("connection refused")}
	r := f.Report(now)
	if text := printed(t, r); !r.Partial() || !strings.Contains(text, "not seen: the certificate that manager-b serves: port 9443: connection refused; ") ||
		!strings.HasSuffix(text, "as far as it could be seen.\n") {
		t.Errorf("partial: %v\n%s", r.Partial(), text)
	}
	f.Webhooks, f.Managers = nil, nil // it runs without, on purpose
	if r := f.Report(now); r.Partial() {
		t.Errorf("without webhooks: %+v", r.NotSeen)
	}
}

// A Lease that nobody has renewed yet says nothing of a last time.
func TestALeaseThatWasNeverRenewedHasNoAge(t *testing.T) {
	f := wellFacts()
	f.Leader = Leader{Name: "manager-a", Lasts: f.Leader.Lasts}
	if w := onlyWarning(t, f.Report(now)); w.Kind != NoLeader || !strings.HasPrefix(w.Message, "no manager leads") {
		t.Errorf("%+v", w)
	}
}
