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

package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Main runs the program c, as Run does, with args.
func Main(c *cobra.Command, args []string, stdout, stderr io.Writer) int {
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetOut(stdout)
	c.SetErr(stderr)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Wrong(err) })
	c.CompletionOptions.DisableDefaultCmd = true
	c.SetArgs(args)
	return Run(c.Name(), stderr, c.ExecuteContext)
}

// FlagsOnly refuses arguments, and says what to do in their place.
func FlagsOnly(instead string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return Wrong(fmt.Errorf("unexpected argument %q: %s", args[0], instead))
		}
		return nil
	}
}
