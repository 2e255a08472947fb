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
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/coredns/caddy"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"switchyard.dev/switchyard/internal/version"
)

// serverType is CoreDNS's name for itself.
const serverType = "dns"

// buildInfo is beside CoreDNS's own, which has its version.
var buildInfo = promauto.NewGaugeVec(prometheus.GaugeOpts{
	Name: "switchyard_dns_build_info", Help: "Always 1; the label is the version.",
}, []string{"version"})

// run serves until ctx ends, and then in an orderly way as long as the Corefile
// says (lameduck).
func run(ctx context.Context, o *options) error {
	if err := prepare(); err != nil {
		return err
	}
	buildInfo.WithLabelValues(version.String()).Set(1)
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
	// CoreDNS does with them what its users are used to: it reads its Corefile again
	// on the one, and takes no notice of the other.
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGUSR1)
	defer signal.Stop(reload)
	signal.Ignore(syscall.SIGHUP)
	if _, err := caddy.Start(corefile); err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	// A reload may have to wait for the API server; the end does not.
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-reload:
				if err := again(); err != nil {
					clog.Errorf("SIGUSR1: going on as before: %v", err)
				}
			}
		}
	}()
	<-ctx.Done()
	return end()
}

// again has a server of the configuration as it is now take over, without a query
// in between that nobody answers.
func again() error {
	corefile, err := caddy.LoadCaddyfile(serverType)
	if err != nil {
		return err
	}
	for _, instance := range slices.Clone(caddy.Instances()) {
		if _, err := instance.Restart(corefile); err != nil {
			return err
		}
	}
	return nil
}

// end stops the instance that there is; a reload may have put it in the place of
// the first.
func end() error {
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
