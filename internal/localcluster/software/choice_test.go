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
	"strings"
	"testing"
)

func TestWhatIsLeftOpenIsFilledIn(t *testing.T) {
	tests := map[string]struct{ chosen, want Choice }{
		"nothing is the suite":         {Choice{}, Choice{SuiteProcesses, Off, KubeProxyNone}},
		"no suite is a stock cluster":  {Choice{Suite: SuiteNone}, Choice{SuiteNone, On, KubeProxyNone}},
		"endpoint controllers can end": {Choice{Suite: SuiteNone, EndpointControllers: Off}, Choice{SuiteNone, Off, KubeProxyNone}},
		"kube-proxy stays as chosen":   {Choice{Suite: SuiteNone, KubeProxy: KubeProxyIPTables}, Choice{SuiteNone, On, KubeProxyIPTables}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tc.chosen.Complete()
			if got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestChoicesThatDoNotFitAreRefused(t *testing.T) {
	tests := map[string]struct {
		chosen Choice
		want   string
	}{
		"an unknown suite":              {Choice{Suite: "pods"}, "--suite=pods: it is processes or none"},
		"an unknown mode":               {Choice{Suite: SuiteNone, KubeProxy: "ipvs"}, "--kube-proxy=ipvs: it is none, iptables or nftables"},
		"kube-proxy beside the suite":   {Choice{KubeProxy: KubeProxyNFTables}, "add --suite=none"},
		"two writers of endpoints":      {Choice{EndpointControllers: On}, "add --suite=none"},
		"endpoint controllers, unclear": {Choice{Suite: SuiteNone, EndpointControllers: "yes"}, "it is on or off"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := tc.chosen.Complete().Validate()
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}
