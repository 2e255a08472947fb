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

package routes

import (
	"fmt"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestOnlyWhatMayBeAnnouncedIsUsable(t *testing.T) {
	for name, tc := range map[string]struct {
		given         []netip.Prefix
		want, refused string
	}{
		"in order, each once":    {prefixes("fd00::1/128", "192.0.2.20/32", "192.0.2.3/32", "192.0.2.20/32"), "[192.0.2.3/32 192.0.2.20/32 fd00::1/128]", "[]"},
		"without host bits":      {prefixes("10.96.1.1/12"), "[10.96.0.0/12]", "[]"},
		"IPv4 in IPv6":           {prefixes("::ffff:192.0.2.1/128"), "[192.0.2.1/32]", "[]"},
		"all IPv4 in IPv6":       {prefixes("::ffff:0.0.0.0/96", "::ffff:0:0/90"), "[]", "[0.0.0.0/0 ::ffc0:0:0/90]"},
		"a default route":        {prefixes("0.0.0.0/0", "::/0"), "[]", "[0.0.0.0/0 ::/0]"},
		"half of the Internet":   {prefixes("128.0.0.0/1", "2000::/3"), "[]", "[128.0.0.0/1 2000::/3]"},
		"what is no unicast":     {prefixes("224.0.0.1/32", "ff02::1/128", "240.0.0.1/32"), "[]", "[224.0.0.1/32 240.0.0.1/32 ff02::1/128]"},
		"what is the machine's":  {prefixes("127.0.0.1/32", "127.0.0.0/8", "::1/128", "0.0.0.1/32"), "[]", "[0.0.0.1/32 127.0.0.0/8 127.0.0.1/32 ::1/128]"},
		"what is the link's":     {prefixes("169.254.0.1/32", "fe80::1/128"), "[]", "[169.254.0.1/32 fe80::1/128]"},
		"no prefix at all":       {[]netip.Prefix{{}}, "[]", "[invalid Prefix]"},
		"one beside one that is": {prefixes("192.0.2.1/32", "0.0.0.0/0"), "[192.0.2.1/32]", "[0.0.0.0/0]"},
	} {
		t.Run(name, func(t *testing.T) {
			usable, refused := Usable(tc.given)
			if fmt.Sprint(usable) != tc.want || fmt.Sprint(refused) != tc.refused {
				t.Errorf("usable %v, want %s; refused %v, want %s", usable, tc.want, refused, tc.refused)
			}
		})
	}
}
