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
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/balancer"
)

func TestLoadBalancerFlags(t *testing.T) {
	for line, want := range map[string]LoadBalancerOptions{
		"":                         {Enabled: true, Class: balancer.Class{Name: "switchyard.dev/loadbalancer"}},
		"--loadbalancers=off":      {Class: balancer.Class{Name: "switchyard.dev/loadbalancer"}},
		"--loadbalancer-default":   {Enabled: true, Class: balancer.Class{Name: "switchyard.dev/loadbalancer", Default: true}},
		"--loadbalancer-class=a/b": {Enabled: true, Class: balancer.Class{Name: "a/b"}},
	} {
		t.Run(line, func(t *testing.T) {
			options := Options{}
			options.Defaults()
			if err := options.parse(options.flagSet(), strings.Fields(line)); err != nil || options.LoadBalancers != want {
				t.Errorf("%+v, %v, want %+v", options.LoadBalancers, err, want)
			}
		})
	}
	options := Options{}
	options.Defaults()
	if err := options.parse(options.flagSet(), []string{"--loadbalancer-class="}); err == nil || !strings.Contains(err.Error(), "--loadbalancer-class") {
		t.Errorf("a class without a name: %v", err)
	}
}

// TestOurOwnClassIsServed: rule X17 warns of classes that nobody serves.
func TestOurOwnClassIsServed(t *testing.T) {
	options := Options{}
	options.Defaults()
	options.Admission.LoadBalancerClasses = []string{"example.org/cloud"}
	if got := servedClasses(options); !slices.Equal(got, []string{"example.org/cloud", "switchyard.dev/loadbalancer"}) {
		t.Errorf("served are %v", got)
	}
	options.LoadBalancers.Enabled = false
	if got := servedClasses(options); !slices.Equal(got, []string{"example.org/cloud"}) {
		t.Errorf("served are %v, and ours is off", got)
	}
}
