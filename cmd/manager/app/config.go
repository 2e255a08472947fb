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
	"os"

	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/webhooks"
)

// Configuration is the file that --config names.
type Configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Rules gives admission rules, by ID or name, another severity.
	Rules map[string]webhooks.Severity `json:"rules,omitempty"`
}

const (
	configAPIVersion = "config.switchyard.dev/v1alpha1"
	configKind       = "ManagerConfiguration"
)

// loadConfig applies the file and then the --rule flags, which win.
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
	if config.APIVersion != configAPIVersion || config.Kind != configKind {
		return fmt.Errorf("this is a %q of %q: it must say kind: %s and apiVersion: %s",
			config.Kind, config.APIVersion, configKind, configAPIVersion)
	}
	return o.Rules.SetAll(config.Rules)
}
