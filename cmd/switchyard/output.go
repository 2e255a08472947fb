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
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// addOutputFlag is -o for commands that answer a question.
func addOutputFlag(c *cobra.Command, format *string) {
	c.Flags().StringVarP(format, "output", "o", "", "json, yaml or wide, or nothing for a table.")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "wide"}, cobra.ShellCompDirectiveNoFileComp))
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return trouble(fmt.Errorf("%w: `%s --help` lists the flags", explainFlag(err), c.CommandPath()))
	})
}

func validOutput(format string) error {
	switch format {
	case "", "json", "yaml", "wide":
		return nil
	}
	return fmt.Errorf("unknown output format %q: use json, yaml or wide, or leave it out", format)
}

// writeAs is for machines, or as table says.
func writeAs(format string, out io.Writer, value any, table func(wide bool) error) error {
	switch format {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	case "yaml":
		text, err := yaml.Marshal(value)
		if err == nil {
			_, err = out.Write(text)
		}
		return err
	}
	return table(format == "wide")
}
