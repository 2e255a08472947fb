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

package why

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		service, from, given string
		want                 Question
	}{
		"a name is of the context's namespace":        {service: "web", want: Question{Service: key("own", "web")}},
		"-n comes before the context's":               {service: "web", given: "shop", want: Question{Service: key("shop", "web")}},
		"NAMESPACE/NAME comes before -n":              {service: "pay/web", given: "shop", want: Question{Service: key("pay", "web")}},
		"kubectl's svc/NAME":                          {service: "svc/web", given: "shop", want: Question{Service: key("shop", "web")}},
		"service/NAME":                                {service: "service/web", want: Question{Service: key("own", "web")}},
		"the DNS name":                                {service: "web.shop.svc.cluster.local", want: Question{Service: key("shop", "web")}},
		"the DNS name with a dot":                     {service: "web.shop.svc.example.org.", want: Question{Service: key("shop", "web")}},
		"NAME.NAMESPACE":                              {service: "web.shop", given: "pay", want: Question{Service: key("shop", "web")}},
		"a name that begins with a digit":             {service: "1web", want: Question{Service: key("own", "1web")}},
		"a client of the Service's namespace":         {service: "shop/web", from: "c-1", want: Question{Service: key("shop", "web"), Pod: key("shop", "c-1")}},
		"a client of -n":                              {service: "shop/web", from: "c-1", given: "pay", want: Question{Service: key("shop", "web"), Pod: key("pay", "c-1")}},
		"a client of another namespace":               {service: "shop/web", from: "pay/c.1", want: Question{Service: key("shop", "web"), Pod: key("pay", "c.1")}},
		"pod/NAME":                                    {service: "shop/web", from: "pod/c-1", want: Question{Service: key("shop", "web"), Pod: key("shop", "c-1")}},
		"node/NAME":                                   {service: "shop/web", from: "node/n-1.example.org", want: Question{Service: key("shop", "web"), Node: "n-1.example.org"}},
		"an address":                                  {service: "shop/web", from: "203.0.113.7", want: Question{Service: key("shop", "web"), Address: netip.MustParseAddr("203.0.113.7")}},
		"an address of IPv4 in IPv6":                  {service: "shop/web", from: "::ffff:203.0.113.7", want: Question{Service: key("shop", "web"), Address: netip.MustParseAddr("203.0.113.7")}},
		"an address with the interface it is seen by": {service: "shop/web", from: "fd00::1%eth0", want: Question{Service: key("shop", "web"), Address: netip.MustParseAddr("fd00::1")}},
		"svc/NAMESPACE/NAME":                          {service: "svc/shop/web", given: "pay", want: Question{Service: key("shop", "web")}},
		"a namespace named svc":                       {service: "web.svc.svc.cluster.local", want: Question{Service: key("svc", "web")}},
		"the name of a pod of a Service":              {service: "web-0.web.shop.svc.cluster.local", want: Question{Service: key("shop", "web")}},
		"the name of a port of a Service":             {service: "_http._tcp.web.shop.svc.cluster.local.", want: Question{Service: key("shop", "web")}},
		"pod/NAMESPACE/NAME":                          {service: "shop/web", from: "pod/pay/c-1", want: Question{Service: key("shop", "web"), Pod: key("pay", "c-1")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(tc.service, tc.from, tc.given, "own")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Error("-want +got:\n" + diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, words := range [][2]string{
		{"", ""}, {"Web", ""}, {"shop/", ""}, {"/web", ""}, {"a/b/c", ""}, {"web.shop.example.org", ""}, {"web:80", ""},
		{"web", "a/b/c"}, {"web", "pay/"}, {"web", "Pod"}, {"web", "10.0.0.0/8"}, {"web", "127.0.0.1"}, {"web", "::1"}, {"web", "0.0.0.0"}, {"web", "fe80::1%eth0"}, {"web", "ff02::1"}, {"web", "::ffff:127.0.0.1"},
		{"http://web.shop/", ""}, {"web.shop:80", ""}, {"10-1-0-1.shop.pod.cluster.local", ""}, {"svc.cluster.local", ""}, {"web", "node/"}, {"web", "node/a/b"},
	} {
		if q, err := Parse(words[0], words[1], "", "own"); err == nil {
			t.Errorf("%q from %q is %+v", words[0], words[1], q)
		}
	}
}
