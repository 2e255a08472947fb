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
	"slices"

	"github.com/coredns/caddy"

	"switchyard.dev/switchyard/internal/version"
)

// serverType is CoreDNS's name for itself.
const serverType = "dns"

// run serves until ctx ends, and then in an orderly way as long as the Corefile
// says (lameduck).
func run(ctx context.Context, o *options) error {
	if err := prepare(); err != nil {
		return err
	}
	caddy.AppName, caddy.AppVersion = "switchyard-dns", version.String()
	// The plugin reload asks for the configuration again.
	load := func(string) (caddy.Input, error) {
		content, err := o.corefile()
		return caddy.CaddyfileInput{Contents: content, Filepath: o.name(), ServerTypeName: serverType}, err
	}
	caddy.SetDefaultCaddyfileLoader(caddy.AppName, caddy.LoaderFunc(load))
	corefile, err := caddy.LoadCaddyfile(serverType)
	if err != nil {
		return err
	}
	if _, err := caddy.Start(corefile); err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	<-ctx.Done()
	// A reload may have put another instance in the place of that one.
	var errs []error
	for _, instance := range slices.Clone(caddy.Instances()) {
		errs = append(append(errs, instance.ShutdownCallbacks()...), instance.Stop())
	}
	return errors.Join(errs...)
}

func (o *options) name() string {
	if o.config != "" {
		return o.config
	}
	return "flags"
}
