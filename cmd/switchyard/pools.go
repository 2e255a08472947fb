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
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/usage"
)

// poolsOptions are what `switchyard pools` can be told beside the cluster.
type poolsOptions struct {
	inventoryOptions
	ascii, noMap bool
}

func poolsCommand() *cobra.Command {
	var o poolsOptions
	c := &cobra.Command{
		Use:   "pools",
		Short: "Show how full pools and the API server's ranges are, and draw the NodePorts",
		Long: `Show of each pool, and of the API server's own ranges, how many numbers are held,
reserved and free, the most free ones in a row, and conflicts. Below that the
range of NodePorts is drawn, as wide as the terminal, with the pools' letters.

With -o wide also priorities, selectors and ranges of the pools.

Exit codes: 0; 2 the cluster could not be read.`,
		Example: `  switchyard pools
  switchyard pools -o json | jq '.pools[] | select(.free < 10) | .name'`,
		Args:              arguments(nothing),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.addFlags(c)
	c.Flags().BoolVar(&o.ascii, "ascii", false, "Draw with plain characters, as where the locale is not UTF-8.")
	c.Flags().BoolVar(&o.noMap, "no-map", false, "Leave the map out.")
	c.RunE = func(c *cobra.Command, _ []string) error { return trouble(o.pools(c)) }
	return c
}

func (o *poolsOptions) pools(c *cobra.Command) error {
	if err := o.validate(); err != nil {
		return err
	}
	look, err := o.look(c.Context(), inventory.Scope{})
	if err != nil {
		return err
	}
	now, err := look()
	if err != nil {
		return err
	}
	out, report := c.OutOrStdout(), usage.Of(now)
	return o.write(out, report, func(wide bool) error {
		if err := report.Print(out, wide); err != nil || o.noMap {
			return err
		}
		_, err := fmt.Fprint(out, "\n", usage.MapOf(now).Draw(widthOf(out), o.ascii || !utf8Locale(os.Getenv)))
		return err
	})
}

// withoutTerminal is the width where there is no terminal to fill.
const withoutTerminal = 80

func widthOf(out io.Writer) int {
	if file, is := out.(*os.File); is {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return withoutTerminal
}

// utf8Locale looks at the variables in the order of setlocale(3).
func utf8Locale(getenv func(string) string) bool {
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8")
}
