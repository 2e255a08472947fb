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

package agent

import (
	"context"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Table is one family's table in the kernel, a *nft.Table. Calls for one Table do not
// overlap.
type Table interface {
	// FullSync lists the kernel, compares and writes the difference: start,
	// restart and repair. Like Apply it keeps the Decisions, which must not
	// change any more.
	FullSync(ctx context.Context, node policy.Node, desired []policy.Decision) (nft.Result, error)
	// Apply changes only the named ServicePorts; a name in removed that is not
	// held is no error. After it fails only FullSync is called.
	Apply(ctx context.Context, changed []policy.Decision, removed []model.ServicePortName) (nft.Result, error)
}

// Watcher calls changed for a family whose table someone else has changed, an
// *nft.Watcher.
type Watcher interface {
	Run(ctx context.Context, changed func(model.Family)) error
}

// Sweeper deletes conntrack entries in the background, a *conntrack.Sweeper.
type Sweeper interface{ Add(what conntrack.Sweep) }
