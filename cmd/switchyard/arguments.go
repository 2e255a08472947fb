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
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exactly takes one argument, and names it when it is missing.
func exactly(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("want one %s, got %d arguments: `%s --help` says more", name, len(args), c.CommandPath())
	}
}

// nothing takes no argument.
func nothing(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected argument %q: `%s --help` says what it takes", args[0], c.CommandPath())
}

// likeness is how many letters a command may differ in to be meant.
const likeness = 2

// aCommand refuses what is none of the root's, and names the nearest.
func aCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = likeness
	near := ""
	if found := c.SuggestionsFor(args[0]); len(found) > 0 {
		near = fmt.Sprintf("did you mean %s? ", strings.Join(found, " or "))
	}
	return fmt.Errorf("there is no command %q: %s`%s --help` lists the commands", args[0], near, c.CommandPath())
}

// explainFlag says what is no number in words of the user's, not of Go's.
func explainFlag(err error) error {
	invalid, is := errors.AsType[*pflag.InvalidValueError](err)
	if !is {
		return err
	}
	switch number, is := errors.AsType[*strconv.NumError](err); {
	case !is:
		return err
	case errors.Is(number, strconv.ErrRange):
		return fmt.Errorf("--%s %q: the number is too large", invalid.GetFlag().Name, invalid.GetValue())
	default:
		return fmt.Errorf("--%s %q: want a number", invalid.GetFlag().Name, invalid.GetValue())
	}
}
