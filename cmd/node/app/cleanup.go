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
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/routes"
)

// cleanup has the routing daemon announce nothing of ours any more, if there is
// one, and removes our tables from the kernel; that they are not there is
// success. It does not ask whether IPv6 is on: it may have been when the table
// was made.
func (o *Options) cleanup(ctx context.Context) error {
	var errs []error
	if o.Own.announces(announceRoutes) {
		if err := routes.Withdraw(ctx, o.Own.Routes.daemon()); err != nil {
			errs = append(errs, fmt.Errorf("--cleanup: %w", err))
		}
	}
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		err := nft.Cleanup(ctx, []model.Family{family})
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without that family
			errs = append(errs, fmt.Errorf("--cleanup: %w", err))
		}
	}
	return errors.Join(errs...)
}
