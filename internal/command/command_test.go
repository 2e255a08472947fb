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
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// program fails with the error that its flag names, and knows a command.
func program() *cobra.Command {
	var number int
	c := &cobra.Command{
		Use:  "ship",
		Args: FlagsOnly("there are only flags"),
		RunE: func(c *cobra.Command, _ []string) error {
			switch number {
			case 0:
				_, err := fmt.Fprintln(c.OutOrStdout(), "sailing")
				return err
			case 1:
				return errors.New("sunk")
			}
			return fmt.Errorf("with it: %w", Wrong(fmt.Errorf("--number %d: use 0 or 1", number)))
		},
	}
	c.Flags().IntVar(&number, "number", 0, "Which.")
	c.AddCommand(&cobra.Command{Use: "row", Args: FlagsOnly("give oars with -o"), RunE: func(*cobra.Command, []string) error { return nil }})
	return c
}

func TestExitCodesAndWhatIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"well":                  {nil, OK, "sailing\n", ""},
		"a failure":             {[]string{"--number=1"}, Failed, "", "ship: sunk\n"},
		"a mistake, found late": {[]string{"--number=2"}, Misuse, "", "ship: with it: --number 2: use 0 or 1\nSee `ship --help`.\n"},
		"an unknown flag":       {[]string{"--bogus"}, Misuse, "", "ship: unknown flag: --bogus\nSee `ship --help`.\n"},
		"an argument":           {[]string{"start"}, Misuse, "", "ship: unexpected argument \"start\": there are only flags\nSee `ship --help`.\n"},
		"a command's argument":  {[]string{"row", "far"}, Misuse, "", "ship: unexpected argument \"far\": give oars with -o\nSee `ship --help`.\n"},
		"a command's flag":      {[]string{"row", "-x"}, Misuse, "", "ship: unknown shorthand flag: 'x' in -x\nSee `ship --help`.\n"},
		"no command of cobra's": {[]string{"completion"}, Misuse, "", "ship: unexpected argument \"completion\": there are only flags\nSee `ship --help`.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := Main(program(), append([]string{}, tc.args...), &stdout, &stderr); code != tc.code {
				t.Errorf("exit code %d, want %d", code, tc.code)
			}
			if diff := cmp.Diff([2]string{tc.stdout, tc.stderr}, [2]string{stdout.String(), stderr.String()}); diff != "" {
				t.Errorf("what is said (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoMistakeIsNone(t *testing.T) {
	if err := Wrong(nil); err != nil {
		t.Error(err)
	}
	if err := Wrong(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v hides what it is made of", err)
	}
}

func TestASignalEndsTheWork(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		var stderr bytes.Buffer
		code := Run("ship", &stderr, func(ctx context.Context) error {
			if err := syscall.Kill(syscall.Getpid(), signal); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		})
		if code != OK || stderr.Len() > 0 {
			t.Errorf("after %v: exit code %d, %q", signal, code, stderr.String())
		}
	}
}

func TestTheUserSaysWhenGarbageIsCollected(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "")
	if CollectAt(61); debug.SetGCPercent(100) != 61 {
		t.Error("without GOGC it has no effect")
	}
	t.Setenv("GOGC", "200")
	if CollectAt(61); debug.SetGCPercent(100) != 100 {
		t.Error("GOGC is overridden")
	}
}
