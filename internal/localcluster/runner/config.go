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

package runner

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/netns"
)

// RunLocal is the Pod annotation that, when "true", makes its containers run
// their command as programs of this machine.
const RunLocal = "switchyard.dev/run-local"

// Config describes one node.
type Config struct {
	NodeName string
	// Labels are added to the Node's own (hostname, os, arch).
	Labels map[string]string
	// NodeIPs has one address per family, IPv4 first.
	NodeIPs []netip.Addr
	// PodCIDRs has one prefix per family, in NodeIPs' order. The first address
	// of each is the Pods' gateway.
	PodCIDRs []netip.Prefix
	// REST reaches the API server from where Run is called.
	REST *rest.Config
	// Namespace is the node's, connected to the other nodes already.
	Namespace *netns.Namespace
	// NamespaceDir is where Pods' namespaces are mounted, as <namespace>_<pod>.
	NamespaceDir string
	// StateDir is this node's own: logs and the Pods' files.
	StateDir string
	// ClusterDomain and DNSAddrs go into the Pods' resolv.conf.
	ClusterDomain string
	DNSAddrs      []netip.Addr
	// ServingCert and ClientCAs are the kubelet API's; it is not served if
	// ClientCAs is nil.
	ServingCert tls.Certificate
	ClientCAs   *x509.CertPool
	// Images are what containers can be run from; those of other images are
	// echo servers.
	Images image.Set
	// Clock is what tokens are renewed by; the machine's if it is nil.
	Clock clock.Clock
	Log   logr.Logger
}

func (c Config) validate() error {
	var errs []error
	missing := func(is bool, what string) {
		if is {
			errs = append(errs, fmt.Errorf("node runner: %s is missing", what))
		}
	}
	missing(c.NodeName == "", "NodeName")
	missing(c.REST == nil, "REST")
	missing(c.Namespace == nil, "Namespace")
	missing(c.NamespaceDir == "", "NamespaceDir")
	missing(c.StateDir == "", "StateDir")
	missing(len(c.NodeIPs) == 0, "NodeIPs")
	if len(c.NodeIPs) != len(c.PodCIDRs) {
		errs = append(errs, fmt.Errorf("node runner: %d NodeIPs but %d PodCIDRs, want one of each per family", len(c.NodeIPs), len(c.PodCIDRs)))
	}
	for _, prefix := range c.PodCIDRs {
		if !prefix.IsValid() || prefix.Addr().BitLen()-prefix.Bits() < 2 {
			errs = append(errs, fmt.Errorf("node runner: pod CIDR %s has no room for a gateway and a Pod", prefix))
		}
	}
	return errors.Join(errs...)
}
