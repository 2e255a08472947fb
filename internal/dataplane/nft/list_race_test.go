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

package nft

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// What is listed after the schema was compared may be of another moment.
func TestAChainThatSomeoneAddsWhileWeListIsLeftAside(t *testing.T) {
	prereq.Root(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	err = ns.Do(func() error {
		table, err := Open(model.IPv4, Options{})
		if err != nil {
			return err
		}
		defer func() { _ = table.Close() }()
		if _, err := table.FullSync(context.Background(), policy.Node{Family: model.IPv4}, nil); err != nil {
			return err
		}
		nft := exec.Command(prereq.Tool(t, "nft", "nftables"), "-f", "-")
		nft.Stdin = strings.NewReader("add chain ip switchyard foreign")
		if out, err := nft.CombinedOutput(); err != nil {
			t.Errorf("nft: %s", out)
		}
		_, err = lister{table.conn, table.schema}.elements()
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
