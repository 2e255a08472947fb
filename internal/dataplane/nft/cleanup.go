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
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Cleanup removes our table from each family, in the network namespace of the
// calling thread. That it is not there is success; a table that a living
// process protects is an *OwnedError.
func Cleanup(ctx context.Context, families []model.Family) error {
	conn, err := nfnl.Dial()
	if err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	defer func() { _ = conn.Close() }()
	var failed []error
	for _, family := range families {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(failed, err)...)
		}
		w := newWriter(ruleset.NewSchema(family, policy.Features{}))
		w.removeTable()
		w.table = ruleset.StandInName
		w.removeTable()
		if err := conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages); err != nil {
			err = lister{conn, w.schema}.explain(err)
			failed = append(failed, fmt.Errorf("nftables %s: removing the table: %w", family, err))
		}
	}
	return errors.Join(failed...)
}
