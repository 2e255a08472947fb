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
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// minimumKernel is the oldest Linux that the ruleset is meant for, the same as
// kube-proxy's nftables mode asks for.
const minimumKernel = "5.13"

// probe rehearses the whole schema under a name of its own: the kernel checks
// every set and rule, loads the modules they need, and forgets them again.
func probe(conn *nfnl.Conn, schema *ruleset.Schema) error {
	w := newWriter(schema)
	w.table = ruleset.TableName + "-probe"
	w.createTable(false)
	err := conn.Rehearse(unix.NFNL_SUBSYS_NFTABLES, &w.Messages)
	var refused *nfnl.MessageError
	if errors.As(err, &refused) && refused.Errno != unix.EPERM {
		return fmt.Errorf("this kernel can not do what the ruleset needs; Linux %s or newer is needed, "+
			"with nf_tables, NAT, conntrack, reject, fib, numgen and masquerade (CONFIG_NF_TABLES, CONFIG_NFT_...): %w", minimumKernel, refused)
	}
	return err
}
