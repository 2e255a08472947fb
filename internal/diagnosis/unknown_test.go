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

package diagnosis

import (
	"encoding/json"
	"net/netip"
	"testing"
)

func TestVerdictOfWhatWasNotSeen(t *testing.T) {
	may := "you may not read them"
	client := &ClientName{Pod: &Name{Namespace: "pay", Name: "client"}, Unseen: "you may not read it"}
	for name, tc := range map[string]struct {
		change func(*Facts)
		known  bool
		want   string
	}{
		"kinds with the same reason together": {change: func(f *Facts) {
			f.Selected, f.Slices = nil, nil
			f.Unseen = map[Kind]string{Pods: may, EndpointSlices: may, NetworkPolicies: may, Numbers: "forbidden"}
		}, want: "Whether Service shop/web answers can not be said: Pods and EndpointSlices could not be read: you may not read them."},
		"what endpoints do not depend on": {change: func(f *Facts) {
			f.Unseen = map[Kind]string{NetworkPolicies: may, Numbers: "forbidden"}
		}, known: true, want: "Nothing wrong was seen with Service shop/web, but whether others have its addresses or ports could not be seen: forbidden and NetworkPolicies could not be read: you may not read them."},
		"a client": {change: func(f *Facts) { f.ClientUnseen = client }, known: true,
			want: "Nothing wrong was seen with Service shop/web for anybody, but pod pay/client, which was asked for, could not be read (you may not read it)."},
		"a client and another": {change: func(f *Facts) {
			f.ClientUnseen, f.Unseen = client, map[Kind]string{NetworkPolicies: may}
		}, known: true, want: "Nothing wrong was seen with Service shop/web for anybody, but pod pay/client, which was asked for, could not be read (you may not read it) " +
			"and NetworkPolicies could not be read: you may not read them."},
		"whose address it is": {change: func(f *Facts) { f.ClientUnseen = &ClientName{Address: "10.1.1.9", Unseen: "forbidden"} }, known: true,
			want: "Nothing wrong was seen with Service shop/web for anybody, but whose address 10.1.1.9 is could not be seen (forbidden)."},
	} {
		f := webFacts()
		f.follow()
		tc.change(f)
		r := Examine(f)
		if r.Verdict.State != Unknown || r.Verdict.Reason != NotSeen || r.Verdict.Sentence != tc.want || r.EndpointsKnown() != tc.known {
			t.Errorf("%s: %+v, endpoints known %t; want %s", name, r.Verdict, r.EndpointsKnown(), tc.want)
		}
	}
}

// A problem stands whoever asks.
func TestAProblemWithAClientThatWasNotSeen(t *testing.T) {
	f := webFacts()
	f.noPods(relabel("app", "other"))
	f.ClientUnseen = &ClientName{Address: "10.1.1.9", Unseen: "forbidden"}
	if r := Examine(f); r.Verdict.State != Problem || r.Verdict.Reason != NoMatchingPods {
		t.Errorf("%+v", r.Verdict)
	}
}

// What machines read is in small letters throughout.
func TestNamesOfTheReport(t *testing.T) {
	node := "n1"
	for want, client := range map[string]*Client{
		`{"pod":{"namespace":"pay","name":"client"},"node":"n1"}`: {Pod: clientPod("pay")},
		`{"node":"n2"}`:            nodeClient("n2"),
		`{"address":"192.0.2.77"}`: {Address: netip.MustParseAddr("192.0.2.77")},
	} {
		f := webFacts()
		f.follow()
		if f.Client = client; client.Pod != nil && client.Pod.Namespace != "" {
			client.Pod.Spec.NodeName = node
		}
		text, err := json.Marshal(Examine(f))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Service map[string]string
			Client  json.RawMessage
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got.Service["namespace"] != "shop" || got.Service["name"] != "web" || string(got.Client) != want {
			t.Errorf("service %v, client %s, want %s", got.Service, got.Client, want)
		}
	}
	if Examine(webFacts()).Client != nil {
		t.Error("anybody is somebody")
	}
}
