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
	"errors"
	"fmt"
	"net"
	"syscall"

	"k8s.io/apimachinery/pkg/api/meta"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// explain adds the remedy to an error that the command line or the missing part of
// an installation can cure; nil stays nil.
func explain(err error, options Options) error {
	var missing *meta.NoKindMatchError
	if errors.As(err, &missing) && missing.GroupKind.Group == v1alpha1.GroupVersion.Group {
		return fmt.Errorf("%w: install the CustomResourceDefinitions (`kubectl apply --server-side -k config/crd`, or the whole of dist/install-*.yaml)", err)
	}
	var listen *net.OpError
	if !errors.As(err, &listen) || listen.Op != "listen" || listen.Addr == nil {
		return err
	}
	flag := listenFlag(listen.Addr.String(), options)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is already in use: stop what listens there, or choose another with %s", listen.Addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("may not listen at %s: choose a port above 1023 with %s", listen.Addr, flag)
	}
	return fmt.Errorf("%w: choose another address with %s", err, flag)
}

// listenFlag is the flag that an address came from, told by its port.
func listenFlag(address string, options Options) string {
	_, port, _ := net.SplitHostPort(address)
	for flag, configured := range map[string]string{
		"--metrics-bind-address":      options.Metrics.BindAddress,
		"--health-probe-bind-address": options.ProbeBindAddress,
	} {
		if _, p, err := net.SplitHostPort(configured); err == nil && p == port {
			return flag
		}
	}
	return "--webhook-port"
}
