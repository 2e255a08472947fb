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

package main

import (
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"switchyard.dev/switchyard/internal/validation"
)

// strictSince is the minor version of Kubernetes that refuses odd spellings of
// addresses, and accepts names of Services that begin with a digit.
const strictSince = 36

// serverOptions are those of the cluster's API server. One that does not tell its
// version, which anybody may ask for, is taken for a new one.
func serverOptions(config *rest.Config) validation.Options {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return validation.Options{}
	}
	info, err := client.ServerVersion()
	if err != nil {
		return validation.Options{}
	}
	return optionsOf(*info)
}

// optionsOf reads a version, whose minor may be "35+".
func optionsOf(info version.Info) validation.Options {
	minor, err := strconv.Atoi(strings.TrimRight(info.Minor, "+"))
	old := err == nil && info.Major == "1" && minor < strictSince
	return validation.Options{LegacyAddresses: old, LegacyNames: old}
}
