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
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Validate reports everything that is wrong, not only the first.
func (o *Options) Validate() error {
	errs := []error{
		validateAddress("--health-probe-bind-address", o.ProbeBindAddress),
		validateAddress("--metrics-bind-address", o.Metrics.BindAddress),
		o.validateProfiling(),
	}
	if o.Webhooks.Enabled && (o.Webhooks.Port < 1 || o.Webhooks.Port > 65535) {
		errs = append(errs, fmt.Errorf("--webhook-port %d is no port: use 1 to 65535", o.Webhooks.Port))
	}
	if served(o.ProbeBindAddress) && o.ProbeBindAddress == o.Metrics.BindAddress {
		errs = append(errs, fmt.Errorf("--health-probe-bind-address and --metrics-bind-address are both %s: give each its own port", o.ProbeBindAddress))
	}
	if problems := validation.IsDNS1123Subdomain(o.Admission.ClusterDomain); len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--cluster-domain %q is no DNS domain: write it as cluster.local", o.Admission.ClusterDomain))
	}
	if problems := validation.IsQualifiedName(o.LoadBalancers.Class.Name); o.LoadBalancers.Enabled && len(problems) > 0 {
		errs = append(errs, fmt.Errorf("--loadbalancer-class: no Service can have the class %q: write it as example.com/name", o.LoadBalancers.Class.Name))
	}
	if o.RetainLimit < 0 {
		errs = append(errs, fmt.Errorf("--retain-limit %d is no limit: use 0 or more", o.RetainLimit))
	}
	if o.Namespace == "" {
		errs = append(errs, errors.New("--namespace is empty: name the one the manager runs in"))
	}
	if err := o.EndpointsTuning.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("endpoint controllers: %w", err))
	}
	if o.Webhooks.ClientCA != "" {
		if _, err := readAuthorities(o.Webhooks.ClientCA); err != nil {
			errs = append(errs, fmt.Errorf("--webhook-client-ca: %w", err))
		}
	}
	errs = append(errs, o.Webhooks.validate("--webhook-cert-path"), o.Metrics.validate("--metrics-cert-path"))
	return errors.Join(errs...)
}

// served tells whether an address is one to serve at.
func served(address string) bool { return address != "" && address != "0" }

func validateAddress(name, address string) error {
	if !served(address) {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s %q is no address to listen at (%w): use host:port, :port, or 0 for none", name, address, err)
	}
	return nil
}

func (f CertFiles) validate(name string) error {
	if f.Dir == "" {
		return nil
	}
	for _, file := range []string{f.Cert, f.Key} {
		if _, err := os.Stat(filepath.Join(f.Dir, file)); err != nil {
			return fmt.Errorf("%s: %w; mount the certificate there, or leave the flag out", name, err)
		}
	}
	return nil
}
