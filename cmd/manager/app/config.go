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
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/webhooks"
)

// Configuration is the file that --config names.
type Configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Rules gives admission rules, by ID or name, another severity.
	Rules map[string]webhooks.Severity `json:"rules,omitempty"`
	// AdmissionAudit is --admission-audit.
	AdmissionAudit *bool `json:"admissionAudit,omitempty"`
	// ClusterDomain is --cluster-domain.
	ClusterDomain string `json:"clusterDomain,omitempty"`
	// LoadBalancerClasses are served by a controller of this cluster, so that
	// rule X17 does not warn of them.
	LoadBalancerClasses []string `json:"loadBalancerClasses,omitempty"`
	// RequirePools are the uses of addresses, ExternalIP and LoadBalancer, for
	// which rule X5 wants an AddressPool also where there is none (CVE-2020-8554).
	RequirePools []v1alpha1.AddressUse `json:"requirePools,omitempty"`
	// RetainLimit is --retain-limit.
	RetainLimit *int `json:"retainLimit,omitempty"`
	// EndpointWriters are users whose endpoints rules X8 to X10 do not judge, beside
	// Kubernetes' own controllers.
	EndpointWriters []string `json:"endpointWriters,omitempty"`
}

const (
	configAPIVersion = "config.switchyard.dev/v1alpha1"
	configKind       = "ManagerConfiguration"
)

// loadConfig applies the file, but not over flags that were given.
func (o *Options) loadConfig() error {
	if o.ConfigFile != "" {
		data, err := os.ReadFile(o.ConfigFile)
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		if err := o.applyConfig(data); err != nil {
			return fmt.Errorf("--config %s: %w", o.ConfigFile, err)
		}
	}
	for _, text := range o.rules {
		if err := o.Rules.SetText(text); err != nil {
			return fmt.Errorf("--rule: %w", err)
		}
	}
	return nil
}

func (o *Options) applyConfig(data []byte) error {
	var config Configuration
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return err
	}
	if err := spelledRight(data); err != nil {
		return err
	}
	if config.APIVersion != configAPIVersion || config.Kind != configKind {
		return fmt.Errorf("this is a %q of %q: it must say kind: %s and apiVersion: %s",
			config.Kind, config.APIVersion, configKind, configAPIVersion)
	}
	if config.AdmissionAudit != nil && !o.given["admission-audit"] {
		o.Admission.Audit = *config.AdmissionAudit
	}
	if config.ClusterDomain != "" && !o.given["cluster-domain"] {
		o.Admission.ClusterDomain = config.ClusterDomain
	}
	if config.RetainLimit != nil && !o.given["retain-limit"] {
		o.RetainLimit = *config.RetainLimit
	}
	o.Admission.LoadBalancerClasses, o.Admission.RequirePools = config.LoadBalancerClasses, config.RequirePools
	o.Admission.EndpointWriters = config.EndpointWriters
	if err := config.validate(); err != nil {
		return err
	}
	return o.Rules.SetAll(config.Rules)
}

// validate looks at lists, whose entries would else be wrong without a word.
func (c *Configuration) validate() error {
	for i, use := range c.RequirePools {
		if use != v1alpha1.UseExternalIP && use != v1alpha1.UseLoadBalancer {
			return fmt.Errorf("requirePools[%d]: a pool can not be required for %q: use %s or %s", i, use, v1alpha1.UseExternalIP, v1alpha1.UseLoadBalancer)
		}
	}
	for i, class := range c.LoadBalancerClasses {
		if problems := validation.IsQualifiedName(class); len(problems) > 0 {
			return fmt.Errorf("loadBalancerClasses[%d]: no Service can have the class %q: write it as example.com/name", i, class)
		}
	}
	for i, user := range c.EndpointWriters {
		if user == "" || strings.ContainsAny(user, " *") {
			return fmt.Errorf("endpointWriters[%d]: %q is no user: write one out, as system:serviceaccount:NAMESPACE:NAME", i, user)
		}
	}
	return nil
}

// spelledRight refuses keys that differ from the real ones by capital letters,
// which reading JSON in Go takes for the same.
func spelledRight(data []byte) error {
	var keys map[string]any
	if err := yaml.Unmarshal(data, &keys); err != nil {
		return err
	}
	known := map[string]bool{}
	for field := range reflect.TypeFor[Configuration]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !known[key] {
			return fmt.Errorf("unknown field %q: mind the capital letters", key)
		}
	}
	return nil
}
