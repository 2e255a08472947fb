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
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// View is what of an agent's options decides what becomes of packets, for
// programs that explain it.
type View struct {
	Node     agent.NodeOptions
	Features policy.Features
	Store    model.Options
	// WithoutExternalIPs leaves spec.externalIPs out (KEP-5707).
	WithoutExternalIPs bool
}

// ownGroup is the key of our own options on the page /configz.
const ownGroup = "node.switchyard.dev"

// errForeignAgent means that a page /configz is not of this program.
var errForeignAgent = errors.New("it is the page of another program, perhaps kube-proxy")

// viewFlags are the names of the flags that a View depends on.
var viewFlags = []string{
	"bind-address", "cluster-cidr", "detect-local-mode", "pod-bridge-interface", "pod-interface-name-prefix", "masquerade-all",
	"nodeport-addresses", "feature-gates", "nodeports-on-localhost", "answer-echo", "announce",
	"reject-without-local-endpoints", "source-ranges-cover-nodeports", "service-proxy-name",
}

// AddViewFlags offers the agent's flags that a View depends on.
func AddViewFlags(fs *pflag.FlagSet) {
	all := newOptions(proxyconfig.KubeProxyConfiguration{}).flags()
	for _, name := range viewFlags {
		fs.AddFlag(all.Lookup(name))
	}
}

// ReadView is the view of the agent whose page /configz is given, or of one
// with the default options if there is no page. Of the flags, those that were
// set win over the page.
func ReadView(page []byte, flags *pflag.FlagSet) (View, error) {
	o := newOptions(proxyconfig.KubeProxyConfiguration{})
	if page != nil {
		var err error
		if o, err = readPage(page); err != nil {
			return View{}, err
		}
	}
	if err := errors.Join(o.flags().Parse(agentFlags(flags)), o.complete()); err != nil {
		return View{}, err
	}
	node, err := o.node()
	return View{Node: node, Features: o.features(), Store: o.store(), WithoutExternalIPs: o.withoutExternalIPs()}, err
}

// readPage is the inverse of pages.config.
func readPage(page []byte) (*Options, error) {
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(page, &groups); err != nil {
		return nil, fmt.Errorf("reading /configz: %w", err)
	}
	if groups[ownGroup] == nil || groups[proxyconfig.GroupName] == nil {
		return nil, fmt.Errorf("reading /configz: %w", errForeignAgent)
	}
	var config proxyconfig.KubeProxyConfiguration
	if err := json.Unmarshal(groups[proxyconfig.GroupName], &config); err != nil {
		return nil, fmt.Errorf("reading /configz: %w", err)
	}
	o := newOptions(config)
	o.MasqueradeAll = config.NFTables.MasqueradeAll // whatever the mode, see complete
	if err := json.Unmarshal(groups[ownGroup], &o.Own); err != nil {
		return nil, fmt.Errorf("reading /configz: %w", err)
	}
	return o, nil
}
