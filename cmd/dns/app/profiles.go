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

package app

import (
	"bytes"
	"fmt"
	"net"

	"github.com/coredns/caddy/caddyfile"

	"switchyard.dev/switchyard/internal/loopback"
)

// refuseOpenProfiles has the plugin pprof serve at loopback addresses alone, its
// default among them: it asks nobody who they are, and what is in memory is not
// for whoever reaches the machine. What can not be read is left to CoreDNS, which
// says more about it.
func refuseOpenProfiles(name string, corefile []byte) error {
	blocks, err := caddyfile.Parse(name, bytes.NewReader(corefile), directives)
	if err != nil {
		return nil
	}
	for _, block := range blocks {
		words := block.Tokens["pprof"]
		if len(words) < 2 || words[1].Line != words[0].Line || words[1].Text == "{" {
			continue
		}
		address := words[1].Text
		host, _, err := net.SplitHostPort(address)
		if err == nil && !loopback.Host(host) {
			return fmt.Errorf("%s:%d: pprof at %s would show what is in memory to whoever reaches it: name a loopback address, as in localhost:6053",
				name, words[1].Line, address)
		}
	}
	return nil
}
