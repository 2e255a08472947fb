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
	"path/filepath"

	"github.com/spf13/cobra"
)

// Names by which kubectl finds plugins in the PATH. Links to this program with
// these names make `kubectl switchyard` work, and its completion.
const (
	pluginName         = "kubectl-switchyard"
	pluginCompleteName = "kubectl_complete-switchyard"
)

// calledAs has the texts of a command say how it was called, and returns its
// arguments. For completion kubectl calls another name, with the words typed.
func calledAs(root *cobra.Command, argv []string) []string {
	switch filepath.Base(argv[0]) {
	case pluginCompleteName:
		asPlugin(root)
		return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
	case pluginName:
		asPlugin(root)
	}
	return argv[1:]
}

// isPlugin says whether kubectl has started the program.
func isPlugin(argv0 string) bool {
	name := filepath.Base(argv0)
	return name == pluginName || name == pluginCompleteName
}

func asPlugin(root *cobra.Command) {
	if root.Annotations == nil {
		root.Annotations = map[string]string{}
	}
	root.Annotations[cobra.CommandDisplayNameAnnotation] = "kubectl switchyard"
}
