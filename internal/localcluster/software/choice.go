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

package software

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What may be chosen.
const (
	// SuiteProcesses is this project's suite, as processes of the nodes.
	SuiteProcesses = "processes"
	// SuiteNone leaves it to the user to install it.
	SuiteNone = "none"

	// On lets kube-controller-manager run its endpoint controllers.
	On = "on"
	// Off keeps it from that.
	Off = "off"

	// KubeProxyNone starts no kube-proxy.
	KubeProxyNone = "none"
	// KubeProxyIPTables is its mode of that name.
	KubeProxyIPTables = "iptables"
	// KubeProxyNFTables is its mode of that name.
	KubeProxyNFTables = "nftables"
)

// Choice is what a cluster runs. Its zero value, completed, is the suite.
type Choice struct {
	Suite string `json:"suite"`
	// EndpointControllers says who writes EndpointSlices: with On it is
	// kube-controller-manager.
	EndpointControllers string `json:"endpointControllers"`
	KubeProxy           string `json:"kubeProxy"`
}

// Complete fills in what was left open: a cluster without the suite has what
// clusters have, but for kube-proxy, which not all of them have.
func (c Choice) Complete() Choice {
	if c.Suite == "" {
		c.Suite = SuiteProcesses
	}
	if c.KubeProxy == "" {
		c.KubeProxy = KubeProxyNone
	}
	if c.EndpointControllers == "" {
		c.EndpointControllers = On
		if c.Suite == SuiteProcesses {
			c.EndpointControllers = Off
		}
	}
	return c
}

// Validate reports what is wrong with a completed Choice.
func (c Choice) Validate() error {
	errs := []error{
		oneOf("--suite", c.Suite, SuiteProcesses, SuiteNone),
		oneOf("--endpoint-controllers", c.EndpointControllers, On, Off),
		oneOf("--kube-proxy", c.KubeProxy, KubeProxyNone, KubeProxyIPTables, KubeProxyNFTables),
	}
	if c.Suite == SuiteProcesses && c.EndpointControllers != Off {
		errs = append(errs, fmt.Errorf("--endpoint-controllers=%s: the suite writes endpoints; add --suite=none", c.EndpointControllers))
	}
	if c.Suite == SuiteProcesses && c.KubeProxy != KubeProxyNone {
		errs = append(errs, fmt.Errorf("--kube-proxy=%s: the suite is in its place; add --suite=none", c.KubeProxy))
	}
	return errors.Join(errs...)
}

func oneOf(flag, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("%s=%s: it is %s or %s", flag, value, strings.Join(values[:len(values)-1], ", "), values[len(values)-1])
}

// WithSuite is true if the suite is started.
func (c Choice) WithSuite() bool { return c.Suite != SuiteNone }

// WithKubeProxy is true if kube-proxy is started.
func (c Choice) WithKubeProxy() bool { return c.KubeProxy != KubeProxyNone }
