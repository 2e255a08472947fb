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
	"github.com/spf13/cobra"

	"switchyard.dev/switchyard/internal/localcluster/supervisor"
)

// initCommand and supervisorCommand are what `switchyard up` starts inside the
// cluster's namespaces.
func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:    supervisor.InitCommand,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			code, err := supervisor.Init(args[0])
			return &exitError{code: code, err: err}
		},
	}
}

func supervisorCommand() *cobra.Command {
	return &cobra.Command{
		Use:    supervisor.RunCommand,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return supervisor.Run(args[0]) },
	}
}
